"""Snapshots are requested."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("inventory", "0001_initial")]

    operations = [
        migrations.RenameField(model_name=model, old_name=f"asked_{what}", new_name=f"requested_{what}")
        for model in ("inventory", "preflight")
        for what in ("by", "at")
    ]
