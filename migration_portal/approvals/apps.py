from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "migration_portal.approvals"
    label = "approvals"
    verbose_name = "Approvals"
