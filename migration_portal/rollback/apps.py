from django.apps import AppConfig


class RollbackConfig(AppConfig):
    name = "migration_portal.rollback"
    label = "rollback"
    verbose_name = "Roll-back"

    def ready(self) -> None:
        from migration_portal.rollback import checks as checks
