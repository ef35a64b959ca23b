"""Who sees the decision matrix, changes its rules, and registers complaints."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ["view_matrix", "view_judgement", "view_complaint"]
GROUPS = {
    "viewer": SEE,
    "support": [*SEE, "register_complaint"],
    "operator": [*SEE, "register_complaint"],
    "approver": [*SEE, "register_complaint", "change_rules"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("rollback"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="rollback")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0007_monitoring_groups"), ("rollback", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
