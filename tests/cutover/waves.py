"""Tenants on the board, and waves of them."""

from __future__ import annotations

from typing import Any

from flags.models import TenantHome
from migration_portal.cutover import selection, waves
from migration_portal.cutover.models import Wave
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.cutover.moves import both_loops
from tests.stack import furnished
from tests.world import World

TENANTS = 8


@furnished
def many(world: World) -> list[str]:
    """Tenants on the board, the first with most users."""
    builders.legacy_tables(world)
    made = [builders.tenant(world, name=f"Tenant {n}") for n in range(TENANTS)]
    for n, tenant in enumerate(made):
        for _ in range(TENANTS - n):
            builders.user(world, tenant)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return made


def names(selected: selection.Selected) -> list[str]:
    return [str(tenant) for tenant in selected.tenants]


def planned(rule: dict[str, Any] | None = None, name: str = "w", **options: Any) -> Wave:
    return waves.plan(
        name, rule or {"kind": "share", "percent": 100}, by="otto", guarded=options.pop("guarded", False), **options
    )


def moved_to_iam() -> set[str]:
    return set(TenantHome.objects.filter(home="iam").values_list("pk", flat=True))
