from django.apps import AppConfig


class DraftingConfig(AppConfig):
    name = "migration_portal.drafting"
    label = "drafting"
    verbose_name = "Drafting"
