from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "migration_portal.audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from migration_portal.audit import roles as roles
