from django.apps import AppConfig


class RollbackConfig(AppConfig):
    name = "migration_portal.rollback"
    label = "rollback"
    verbose_name = "Roll-back"
