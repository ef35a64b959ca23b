"""A flip remembers what the side that was left had committed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flags", "0006_derived")]

    operations = [
        migrations.AddField(
            "tenanthome", "left_legacy_snapshot", models.TextField(blank=True, default=""), preserve_default=False
        ),
        migrations.AddField(
            "tenanthome", "left_iam_snapshot", models.TextField(blank=True, default=""), preserve_default=False
        ),
    ]
