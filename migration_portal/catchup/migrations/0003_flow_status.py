"""A direction of catch-up is a flow, here as in the engine; its permissions keep their names."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catchup", "0002_touched")]

    operations = [
        migrations.RenameModel(old_name="Stream", new_name="FlowStatus"),
        migrations.RemoveIndex(model_name="lagsample", name="lag_by_time"),
        migrations.RenameField(model_name="lagsample", old_name="stream", new_name="flow"),
        migrations.AddIndex(model_name="lagsample", index=models.Index(fields=["flow", "at"], name="lag_by_time")),
        migrations.AlterModelOptions(
            name="flowstatus",
            options={
                "default_permissions": (),
                "permissions": [
                    ("view_stream", "Can view catch-up"),
                    ("compact_stream", "Can compact the capture queue"),
                ],
            },
        ),
    ]
