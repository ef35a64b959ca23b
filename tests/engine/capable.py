"""What the IAM has of the capability model, by SQL of our own."""

from __future__ import annotations

from typing import Any

from tests.engine.changes import iam
from tests.world import World

OFFERED = 8
TTLS = {
    "access_token_ttl_minutes": 30, "refresh_token_ttl_days": 7, "id_token_ttl_minutes": 45, "remember_me_enabled": False,
    "remember_me_refresh_token_ttl_days": 60, "remember_me_access_token_ttl_minutes": 50,
}  # fmt: skip


def capability(world: World, tenant: str, name: str) -> tuple[Any, ...] | None:
    rows = iam(
        world,
        "SELECT enabled, value FROM tenant_capabilities WHERE tenant_id = %s AND capability_key = %s",
        tenant,
        name,
    )
    return rows[0] if rows else None


def states(world: World, user: str) -> dict[str, tuple[Any, ...]]:
    rows = iam(
        world,
        "SELECT capability_key, enrolled, state_data, enrolled_at FROM user_capability_state WHERE user_id = %s",
        user,
    )
    return {row[0]: row[1:] for row in rows}


def features(world: World, tenant: str) -> list[tuple[Any, ...]]:
    return iam(world, "SELECT feature_key, enabled FROM tenant_feature_enablement WHERE tenant_id = %s", tenant)


def snapshot(world: World) -> dict[str, list[str]]:
    tables = ("tenant_capabilities", "tenant_feature_enablement", "user_capability_state", "tenant_settings")
    return {name: [row[0] for row in iam(world, f"SELECT t::text FROM {name} AS t ORDER BY 1")] for name in tables}


def iam_change(world: World, statement: str, *arguments: Any) -> None:
    iam(world, statement, *arguments)
