"""Who may accept that nobody answers a legacy endpoint any more."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("legacy_compat"), verbosity=0, using=schema_editor.connection.alias)
    wanted = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="legacy_compat", codename="give_up_endpoint"
    )
    apps.get_model("auth", "Group").objects.get(name="approver").permissions.add(wanted)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0004_legacy_and_client_groups"), ("legacy_compat", "0002_given_up")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
