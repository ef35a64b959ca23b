from django.apps import AppConfig


class SchemaConfig(AppConfig):
    name = "migration_portal.schema"
    label = "schema"
    verbose_name = "IAM schema"
