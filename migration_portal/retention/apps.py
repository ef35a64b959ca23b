from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "migration_portal.retention"
    label = "retention"
    verbose_name = "Audit retention"

    def ready(self) -> None:
        from migration_portal.retention import approving  # noqa: F401 - registers what may want a second person
