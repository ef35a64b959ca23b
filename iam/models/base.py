"""What the IAM's models share."""

from __future__ import annotations

from typing import Any

from django.db import models


class ParsedJSONField(models.JSONField):
    """A column of type json, not jsonb: the driver has parsed it already."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value


class IamModel(models.Model):
    """Lives in the IAM database, whose schema scripts own its table."""

    database = "iam"

    class Meta:
        abstract = True
        managed = False

    @classmethod
    def columns(cls, alias: str) -> str:
        """The select list of a raw statement."""
        return ", ".join(f"{alias}.{field.column}" for field in cls._meta.concrete_fields)
