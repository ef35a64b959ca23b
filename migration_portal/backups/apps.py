from django.apps import AppConfig


class BackupsConfig(AppConfig):
    name = "migration_portal.backups"
    label = "backups"
    verbose_name = "Backups"
