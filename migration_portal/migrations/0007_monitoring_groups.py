"""Who sees health, and acknowledges alerts."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ["view_minute", "view_sample", "view_baseline", "view_heartbeat", "view_alert", "view_delivery"]
GROUPS = {
    "viewer": SEE,
    "support": SEE,
    "operator": [*SEE, "acknowledge_alert"],
    "approver": [*SEE, "acknowledge_alert"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("monitoring"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="monitoring")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0006_backup_groups"), ("monitoring", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
