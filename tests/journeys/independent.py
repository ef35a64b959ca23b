"""Comparing legacy and the IAM with SQL of the tests' own: nothing of the engine, of its mapping or of its hashes."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.world import World

_USER = (
    "lower(tenant_id::text)", "email", "username", "full_name", "hashed_password", "is_active::text", "is_superuser::text",
    "is_verified::text", "avatar_url", "bio", "phone_number", "mfa_enabled::text", "mfa_secret_encrypted", "refresh_token",
    "extract(epoch FROM created_at)::text", "extract(epoch FROM updated_at)::text", "extract(epoch FROM last_login)::text",
)  # fmt: skip
_TENANT = ("name", "slug", "is_active::text", "extract(epoch FROM created_at)::text", "max_licenses::text")
_LICENCE = (
    "lower(tenant_id::text)", "license_key", "license_secret", "template_id::text", "linked_subscription::text",
    "extract(epoch FROM issued_at)::text", "validity_days::text", "payload::jsonb::text",
)  # fmt: skip
_SETTINGS = (
    "access_token_ttl_minutes::text",
    "min_password_length::text",
    "mfa_required::text",
    "rate_limit_requests::text",
)
_SAME = {
    "tenants": ("id", _TENANT),
    "users": ("id", _USER),
    "licenses": ("id", _LICENCE),
    "tenant_settings": ("tenant_id", _SETTINGS),
}
"""Table: its key, and what both sides write alike."""
_LEGACY_ROLES = "SELECT lower(id), CASE WHEN is_superuser THEN 'admin' ELSE 'user' END FROM users"
_IAM_ROLES = "SELECT user_id::text, r.name FROM user_roles AS u JOIN roles AS r ON r.id = u.role_id"


def differences(world: World) -> list[str]:
    """Rows that are not the same in both databases, each in a few words."""
    unlike: list[str] = []
    with world.legacy() as legacy, world.iam() as iam:
        for table, (key, columns) in _SAME.items():
            statement = f"SELECT lower({key}::text), {', '.join(columns)} FROM {table}"
            unlike += _unlike(table, _rows(legacy, statement), _rows(iam, statement))
    return unlike


def roles_differ(world: World) -> list[str]:
    """Users whose role in the IAM is not the one that legacy's row asks for."""
    with world.legacy() as legacy, world.iam() as iam:
        return _unlike("user_roles", _rows(legacy, _LEGACY_ROLES), _rows(iam, _IAM_ROLES))


def _rows(connection: psycopg.Connection[Any], statement: str) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(statement).fetchall()
    made = {row[0]: row[1:] for row in rows}
    assert len(made) == len(rows), "two rows of one key"
    return made


def _unlike(table: str, legacy: dict[str, tuple[Any, ...]], iam: dict[str, tuple[Any, ...]]) -> list[str]:
    keys = sorted(legacy.keys() | iam.keys())
    return [f"{table} {key}: {legacy.get(key)} / {iam.get(key)}" for key in keys if legacy.get(key) != iam.get(key)]
