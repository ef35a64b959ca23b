"""Who may back up, restore, put a restored database in place, and decide about what was written since."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ["view_backup", "view_check", "view_restoration", "view_reconciliation", "view_written"]
GROUPS = {
    "viewer": SEE,
    "support": SEE,
    "operator": [*SEE, "back_up", "restore_backup"],
    "approver": [*SEE, "back_up", "restore_backup", "swap_database", "reconcile_restoration"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("backups"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="backups")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0005_endpoints_given_up"), ("backups", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
