from django.apps import AppConfig


class CheckpointsConfig(AppConfig):
    name = "migration_portal.checkpoints"
    label = "checkpoints"
    verbose_name = "Checkpoints"
