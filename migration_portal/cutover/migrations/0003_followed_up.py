"""What follows a flip is recorded when it is done; moves that were made before have nothing left."""

from django.db import migrations, models
from django.db.models import F


def nothing_left(apps, schema_editor):  # type: ignore[no-untyped-def]
    apps.get_model("cutover", "Cutover").objects.filter(state="done").update(followed_up_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [("cutover", "0002_plain_words")]

    operations = [
        migrations.AddField("cutover", "followed_up_at", models.DateTimeField(null=True, blank=True)),
        migrations.RunPython(nothing_left, migrations.RunPython.noop),
    ]
