"""Who sees plans that are drafted. Writing one is reading legacy: no group may, until somebody grants it."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = ["viewer", "support", "operator", "approver"]


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("drafting"), verbosity=0, using=schema_editor.connection.alias)
    found = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="drafting", codename="view_plandraft"
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0016_deployment_groups"), ("drafting", "0001_initial")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
