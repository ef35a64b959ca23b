"""Who may read the legacy endpoints' record, ignore mismatches, and register OAuth clients."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = [("legacy_compat", name) for name in ("view_legacyrequest", "view_usage", "view_mismatch", "view_shadowed")]
GROUPS = {
    "viewer": SEE,
    "support": SEE,
    "operator": [*SEE, ("legacy_compat", "ignore_mismatch"), ("migration_portal", "manage_clients")],
    "approver": [*SEE, ("legacy_compat", "ignore_mismatch"), ("migration_portal", "manage_clients")],
}


def grant(apps, schema_editor):
    alias = schema_editor.connection.alias
    create_permissions(installed.get_app_config("legacy_compat"), verbosity=0, using=alias)
    ContentType = apps.get_model("contenttypes", "ContentType")
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    # OAuth clients are the IAM's, and have no table of ours to hang the permission on.
    place, _ = ContentType.objects.get_or_create(app_label="migration_portal", model="oauthclient")
    Permission.objects.get_or_create(
        content_type=place, codename="manage_clients", defaults={"name": "Can register and switch OAuth clients"}
    )
    for name, wanted in GROUPS.items():
        for app, codename in wanted:
            found = Permission.objects.get(content_type__app_label=app, codename=codename)
            Group.objects.get(name=name).permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [
        ("migration_portal", "0003_feature_groups"),
        ("legacy_compat", "0001_the_record"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
