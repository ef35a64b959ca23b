"""A move is requested, and done or blocked; rows of version 0.1 are carried over."""

from django.db import migrations, models

WORDS = {"asked": "requested", "aborted": "blocked"}


def translate(apps, schema_editor):
    Cutover = apps.get_model("cutover", "Cutover")
    for old, new in WORDS.items():
        Cutover.objects.filter(state=old).update(state=new)


class Migration(migrations.Migration):
    dependencies = [("cutover", "0001_initial")]

    operations = [
        migrations.RemoveConstraint(model_name="cutover", name="one_move_a_tenant"),
        migrations.RenameField(model_name="cutover", old_name="asked_by", new_name="requested_by"),
        migrations.RenameField(model_name="cutover", old_name="asked_at", new_name="requested_at"),
        migrations.AlterField(
            model_name="cutover",
            name="state",
            field=models.CharField(
                choices=[
                    ("requested", "Requested"),
                    ("preparing", "Preparing"),
                    ("holding", "Holding"),
                    ("done", "Done"),
                    ("blocked", "Blocked"),
                ],
                default="requested",
                max_length=10,
            ),
        ),
        migrations.RunPython(translate),
        migrations.AddConstraint(
            model_name="cutover",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["requested", "preparing", "holding"])),
                fields=("tenant",),
                name="one_move_a_tenant",
            ),
        ),
        migrations.AlterModelOptions(
            name="stray",
            options={
                "default_permissions": ("view",),
                "managed": False,
                "ordering": ["-id"],
                "permissions": [("decide_stray", "Can decide stray writes")],
                "verbose_name": "stray write",
            },
        ),
    ]
