from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "migration_portal.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"
