"""Who changes capabilities."""

from django.db import migrations

GROUPS = ("operator", "approver")


def grant(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    # The tables are the IAM's: none of ours to hang the permission on.
    place, _ = ContentType.objects.get_or_create(app_label="migration_portal", model="capability")
    found, _ = Permission.objects.get_or_create(
        content_type=place, codename="manage_capabilities", defaults={"name": "Can change capabilities"}
    )
    for name in GROUPS:
        apps.get_model("auth", "Group").objects.get(name=name).permissions.add(found)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0011_rehearsal_groups")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
