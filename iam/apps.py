from django.apps import AppConfig


class IamConfig(AppConfig):
    name = "iam"
    verbose_name = "IAM"

    def import_models(self) -> None:
        super().import_models()
        from iam.oauth import models  # noqa: F401 - models of this app in a room of their own
