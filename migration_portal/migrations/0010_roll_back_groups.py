"""Who sees roll-backs, starts them, agrees to their steps, and closes the doors."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = {"rollback": ["view_rollback", "view_step", "view_hold"], "flags": ["view_maintenance"]}
START = {"rollback": ["start_roll_back"]}
GROUPS = {
    "viewer": [SEE],
    "support": [SEE],
    "operator": [SEE, START],
    "approver": [SEE, START, {"rollback": ["approve_roll_back", "hold_matrix"], "flags": ["close_doors"]}],
}


def grant(apps, schema_editor):
    for label in ("rollback", "flags"):
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    permissions = apps.get_model("auth", "Permission").objects
    for name, granted in GROUPS.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        for each in granted:
            for label, wanted in each.items():
                group.permissions.add(*permissions.filter(content_type__app_label=label, codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [
        ("migration_portal", "0009_checkpoint_groups"),
        ("rollback", "0003_hold"),
        ("flags", "0008_maintenance"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
