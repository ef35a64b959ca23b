from django.apps import AppConfig


class SampleConfig(AppConfig):
    name = "migration_portal.sample"
    label = "sample"
