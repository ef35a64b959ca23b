"""Who sees everything about a person, and who signs them out."""

from django.db import migrations

NAMES = {"view_person": "Can see everything about a person", "end_sessions": "Can sign a person out everywhere"}
GROUPS = {"support": list(NAMES), "operator": list(NAMES), "approver": ["view_person"]}


def grant(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    # People are the IAM's: none of our tables to hang the permissions on.
    place, _ = ContentType.objects.get_or_create(app_label="migration_portal", model="person")
    for codename, name in NAMES.items():
        Permission.objects.get_or_create(content_type=place, codename=codename, defaults={"name": name})
    for group, wanted in GROUPS.items():
        found = Permission.objects.filter(content_type=place, codename__in=wanted)
        apps.get_model("auth", "Group").objects.get(name=group).permissions.add(*found)


class Migration(migrations.Migration):
    dependencies = [("migration_portal", "0013_wave_groups")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
