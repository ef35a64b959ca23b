"""The four flags of the strategy document and the fact that two of them wait for."""

from django.db import migrations

FLAGS = {
    "database_migration_complete": ((), "Every row is in the IAM and verified. Derived from runs."),
    "oauth2_enabled": (("database_migration_complete",), "The endpoints under /oauth/."),
    "social_login_enabled": (("oauth2_enabled",), "Signing in with Google, GitHub or another provider."),
    "rbac_enabled": (("database_migration_complete",), "Permissions are enforced by role, not by is_superuser."),
    "new_ui_enabled": ((), "The getting-started page of the new user interface."),
}


def create(apps, schema_editor):
    Flag = apps.get_model("flags", "Flag")
    made = {
        name: Flag.objects.create(name=name, note=note, fact=name == "database_migration_complete")
        for name, (_, note) in FLAGS.items()
    }
    for name, (requires, _) in FLAGS.items():
        made[name].requires.set([made[required] for required in requires])


def remove(apps, schema_editor):
    apps.get_model("flags", "Flag").objects.filter(name__in=FLAGS).delete()


class Migration(migrations.Migration):
    dependencies = [("flags", "0002_flags"), ("waffle", "0004_update_everyone_nullbooleanfield")]
    operations = [
        migrations.RunPython(create, remove),
        # waffle makes these for its own Flag even where another model takes its place; then they stand in the way of
        # emptying the database (django-waffle #317, #338).
        migrations.RunSQL(
            "DROP TABLE IF EXISTS waffle_flag_groups, waffle_flag_users", reverse_sql=migrations.RunSQL.noop
        ),
    ]
