from django.apps import AppConfig


class CatchupConfig(AppConfig):
    name = "migration_portal.catchup"
    label = "catchup"
    verbose_name = "Catch-up"
