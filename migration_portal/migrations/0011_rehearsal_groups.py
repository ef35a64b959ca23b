"""Who sees rehearsals, and rehearses."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {
    "viewer": ["view_rehearsal"],
    "support": ["view_rehearsal"],
    "operator": ["view_rehearsal", "rehearse"],
    "approver": ["view_rehearsal", "rehearse"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("rehearsal"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="rehearsal")
    for name, wanted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*found.filter(codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0010_roll_back_groups"), ("rehearsal", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
