"""Who sees deployment plans, does their tasks, and overrides their gates."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ["view_plan", "view_contact"]
GROUPS = {
    "viewer": SEE,
    "support": SEE,
    "operator": [*SEE, "work_plan"],
    "approver": [*SEE, "work_plan", "override_gate"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("deployment"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="deployment")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0015_notice_groups"), ("deployment", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
