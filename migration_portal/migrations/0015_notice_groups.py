"""Who sees notices, writes their texts, and sends them."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ["view_notice", "view_text", "view_unsubscribed"]
GROUPS = {
    "viewer": SEE,
    "support": SEE,
    "operator": [*SEE, "send_notice", "change_text"],
    "approver": [*SEE, "send_notice", "change_text"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("notices"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="notices")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0014_support_groups"), ("notices", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
