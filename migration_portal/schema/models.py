"""What is applied to the IAM. The records are the ledger's, in the IAM database: they go where the tables go."""

from __future__ import annotations

from django.db import models


class AppliedScript(models.Model):
    """A schema script that is applied, with the checksum of what was applied."""

    database = "iam"

    name = models.CharField(max_length=100, primary_key=True)
    checksum = models.CharField(max_length=64)
    applied_at = models.DateTimeField()
    applied_by = models.CharField(max_length=150)

    class Meta:
        managed = False
        db_table = '"portal_ledger"."schema_scripts"'
        default_permissions = ("view",)
        permissions = [
            ("apply_script", "Can apply IAM schema scripts"),
            ("roll_back_script", "Can roll back IAM schema scripts"),
        ]

    def __str__(self) -> str:
        return self.name
