"""Who plans, pauses and stops waves: those who cut over."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {
    "viewer": ["view_wave"],
    "support": ["view_wave"],
    "operator": ["view_wave", "plan_wave"],
    "approver": ["view_wave"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("cutover"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="cutover")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0012_capability_groups"), ("cutover", "0004_waves")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
