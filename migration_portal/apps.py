from django.apps import AppConfig


class MigrationPortalConfig(AppConfig):
    name = "migration_portal"
    verbose_name = "Migration portal"
