from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "migration_portal.runs"
    label = "runs"
    verbose_name = "Runs"
