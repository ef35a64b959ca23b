"""Who sees what waits for a second person, and who asks for one. Who agrees needs the action's own permission."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {
    "viewer": ["view_approval"],
    "operator": ["view_approval", "ask_approval"],
    "approver": ["view_approval", "ask_approval"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("approvals"), verbosity=0, using=schema_editor.connection.alias)
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in GROUPS.items():
        found = Permission.objects.filter(content_type__app_label="approvals", codename__in=wanted)
        apps.get_model("auth", "Group").objects.get(name=name).permissions.add(*found)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0017_drafting_groups"), ("approvals", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
