"""Which servers the loop has seen: another one is a reason to verify."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catchup", "0003_flow_status")]

    operations = [migrations.AddField("flowstatus", "servers", models.JSONField(blank=True, default=list))]
