from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "migration_portal.notices"
    label = "notices"
    verbose_name = "Notices"
