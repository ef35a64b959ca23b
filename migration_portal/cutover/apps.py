from django.apps import AppConfig


class CutoverConfig(AppConfig):
    name = "migration_portal.cutover"
    label = "cutover"
    verbose_name = "Cut-over"
