"""The four groups and what each may do."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEW = [
    ("audit", "view_event"),
    ("inventory", "view_inventory"),
    ("inventory", "view_preflight"),
    ("schema", "view_appliedscript"),
    ("runs", "view_run"),
]
SUPPORT = [*VIEW, ("runs", "view_quarantinedrow"), ("audit", "verify_event")]
OPERATOR = [
    *SUPPORT,
    ("inventory", "take_inventory"),
    ("inventory", "run_preflight"),
    ("schema", "apply_script"),
    ("runs", "start_run"),
    ("runs", "pause_run"),
    ("runs", "cancel_run"),
    ("runs", "retry_run"),
    ("runs", "force_run"),
    ("runs", "verify_run"),
    ("runs", "retry_quarantinedrow"),
    ("runs", "export_quarantinedrow"),
]
# What takes something away wants a second pair of eyes: it is the approver's. Nobody here may edit
# users: who may change permissions has all of them, and that is the superuser's alone.
APPROVER = [
    *SUPPORT,
    ("runs", "undo_run"),
    ("runs", "discard_quarantinedrow"),
    ("schema", "roll_back_script"),
]
GROUPS = {"viewer": VIEW, "support": SUPPORT, "operator": OPERATOR, "approver": APPROVER}


def create(apps, schema_editor):
    # Permissions are otherwise created only after all migrations have run.
    for label in ("auth", "audit", "inventory", "schema", "runs"):
        create_permissions(installed.get_app_config(label), verbosity=0, using=schema_editor.connection.alias)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        for label, codename in wanted:
            group.permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))


def remove(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("audit", "0002_append_only"),
        ("inventory", "0001_initial"),
        ("schema", "0001_initial"),
        ("runs", "0001_initial"),
    ]
    operations = [migrations.RunPython(create, remove)]
