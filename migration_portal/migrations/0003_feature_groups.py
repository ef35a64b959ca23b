"""Who may see, narrow and widen features."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

# Widening exposes more people to something new: that is the approver's.
GROUPS = {
    "viewer": ["view_flag"],
    "support": ["view_flag"],
    "operator": ["view_flag", "narrow_flag"],
    "approver": ["view_flag", "narrow_flag", "widen_flag"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("flags"), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in GROUPS.items():
        for codename in wanted:
            found = Permission.objects.get(content_type__app_label="flags", codename=codename)
            Group.objects.get(name=name).permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0002_cutover_groups"), ("flags", "0003_the_flags")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
