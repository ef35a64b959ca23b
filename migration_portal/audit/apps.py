from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "migration_portal.audit"
    label = "audit"
    verbose_name = "Audit"
