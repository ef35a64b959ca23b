from django.apps import AppConfig


class LegacyCompatConfig(AppConfig):
    name = "legacy_compat"
    verbose_name = "Legacy endpoints"

    def ready(self) -> None:
        from legacy_compat import checks as checks
