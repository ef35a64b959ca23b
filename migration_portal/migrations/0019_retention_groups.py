"""Who places legal holds on the audit log, and who releases them."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {"operator": ["place_hold"], "approver": ["place_hold", "release_hold"]}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("retention"), verbosity=0, using=schema_editor.connection.alias)
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in GROUPS.items():
        found = Permission.objects.filter(content_type__app_label="retention", codename__in=wanted)
        apps.get_model("auth", "Group").objects.get(name=name).permissions.add(*found)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0018_approval_groups"), ("retention", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
