"""What the four groups may do about catch-up and cut-over."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEW = [("flags", "view_tenanthome"), ("cutover", "view_cutover"), ("catchup", "view_stream")]
SUPPORT = [*VIEW, ("cutover", "view_stray")]
GROUPS = {
    "viewer": VIEW,
    "support": SUPPORT,
    "operator": [*SUPPORT, ("cutover", "cut_over_tenant"), ("cutover", "reverse_tenant")],
    "approver": [
        *SUPPORT,
        ("cutover", "guard_tenant"),
        ("cutover", "finalize_tenant"),
        ("cutover", "decide_stray"),
    ],
}


def grant(apps, schema_editor):
    for label in ("flags", "cutover", "catchup"):
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in GROUPS.items():
        group = Group.objects.get(name=name)
        for label, codename in wanted:
            group.permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))


class Migration(migrations.Migration):
    dependencies = [
        ("migration_portal", "0001_groups"),
        ("flags", "0001_initial"),
        ("cutover", "0001_initial"),
        ("catchup", "0001_initial"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
