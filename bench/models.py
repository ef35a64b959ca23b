"""The four tables as Django models, for the bulk_create peer only."""

from __future__ import annotations

from typing import Any

from django.db import models


class _Base(models.Model):
    class Meta:
        abstract = True
        app_label = "bench"
        managed = False


def _model(table: str, key: str, columns: dict[str, models.Field]) -> type[models.Model]:  # type: ignore[type-arg]
    meta = type("Meta", (), {"app_label": "bench", "managed": False, "db_table": table})
    fields = {key: models.UUIDField(primary_key=True)} | columns
    return type(table.title(), (_Base,), {"__module__": __name__, "Meta": meta, **fields})


class _Json(models.TextField):
    """Text into a json column, as it stands: a JSONField would refuse \\u0000."""

    def db_type(self, connection: Any) -> str:
        return "json"


def _texts(*names: str) -> dict[str, models.Field]:  # type: ignore[type-arg]
    return {name: models.TextField(null=True) for name in names}


def _moments(*names: str) -> dict[str, models.Field]:  # type: ignore[type-arg]
    return {name: models.DateTimeField(null=True) for name in names}


def _flags(*names: str) -> dict[str, models.Field]:  # type: ignore[type-arg]
    return {name: models.BooleanField(null=True) for name in names}


def _numbers(*names: str) -> dict[str, models.Field]:  # type: ignore[type-arg]
    return {name: models.IntegerField(null=True) for name in names}


MODELS: dict[str, type[models.Model]] = {
    "tenants": _model(
        "tenants", "id", _texts("name", "slug") | _flags("is_active") | _moments("created_at") | _numbers("max_licenses")
    ),
    "tenant_settings": _model(
        "tenant_settings",
        "tenant_id",
        _numbers(
            "access_token_ttl_minutes", "refresh_token_ttl_days", "id_token_ttl_minutes",
            "remember_me_refresh_token_ttl_days", "remember_me_access_token_ttl_minutes", "min_password_length",
            "password_expiry_days", "rate_limit_requests", "rate_limit_window_seconds",
        )
        | _flags(
            "remember_me_enabled", "token_rotation_enabled", "require_mfa_for_extended_sessions", "require_uppercase",
            "require_lowercase", "require_numbers", "require_special_chars", "mfa_required",
        ),
    ),
    "users": _model(
        "users",
        "id",
        {"tenant_id": models.UUIDField()}
        | _texts(
            "email", "username", "full_name", "hashed_password", "avatar_url", "bio", "phone_number",
            "mfa_secret_encrypted", "refresh_token",
        )
        | _flags("is_active", "is_superuser", "is_verified", "mfa_enabled")
        | _moments("created_at", "updated_at", "last_login", "last_login_at"),
    ),
    "licenses": _model(
        "licenses",
        "id",
        {"tenant_id": models.UUIDField(null=True)}
        | _texts("license_key", "license_secret", "template_id", "linked_subscription")
        | {"payload": _Json(null=True)}
        | _moments("issued_at")
        | _numbers("validity_days"),
    ),
}  # fmt: skip
