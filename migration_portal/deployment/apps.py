from django.apps import AppConfig


class DeploymentConfig(AppConfig):
    name = "migration_portal.deployment"
    label = "deployment"
    verbose_name = "Deployment plan"
