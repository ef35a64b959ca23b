from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "migration_portal.inventory"
    label = "inventory"
    verbose_name = "Inventory"
