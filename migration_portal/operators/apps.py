from django.apps import AppConfig


class OperatorsConfig(AppConfig):
    name = "migration_portal.operators"
    label = "operators"
