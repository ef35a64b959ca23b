"""A fact is a derived flag, and says from what it was derived."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flags", "0005_ramps")]

    operations = [
        migrations.RenameField(model_name="flag", old_name="fact", new_name="derived"),
        migrations.AddField(
            model_name="flag", name="basis", field=models.TextField(blank=True, default=""), preserve_default=False
        ),
    ]
