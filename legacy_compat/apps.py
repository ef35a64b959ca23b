from django.apps import AppConfig


class LegacyCompatConfig(AppConfig):
    name = "legacy_compat"
    verbose_name = "Legacy endpoints"
