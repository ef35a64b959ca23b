from django.apps import AppConfig


class TrafficConfig(AppConfig):
    name = "migration_portal.traffic"
    label = "traffic"
    verbose_name = "Traffic"
