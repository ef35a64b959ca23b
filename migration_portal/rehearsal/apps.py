from django.apps import AppConfig


class RehearsalConfig(AppConfig):
    name = "migration_portal.rehearsal"
    label = "rehearsal"
    verbose_name = "Rehearsal"
