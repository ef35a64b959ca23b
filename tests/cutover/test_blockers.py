"""What keeps a tenant from being moved."""

from __future__ import annotations

from typing import Any

from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.engine.copy.test_staging import plan_without
from tests.world import World


def test_an_open_quarantined_row_blocks_the_tenant_and_nobody_else(world: World) -> None:
    builders.legacy_tables(world)
    clean, dirty = builders.tenant(world), builders.tenant(world)
    builders.user(world, clean)
    builders.user(world, dirty, id="not-a-uuid")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(clean).state == "done"
    refused = moved(dirty)
    assert refused.state == "blocked" and "quarantine" in refused.error


def test_a_row_that_differs_blocks_the_tenant_and_is_named(world: World, home: str) -> None:
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        key = connection.execute("UPDATE users SET full_name = 'tampered' RETURNING id::text").fetchone()
    refused = moved(home)
    assert refused.state == "blocked" and key is not None
    assert "differ" in refused.error and "users" in refused.error


def test_a_plan_whose_way_back_loses_a_column_is_refused(world: World, tmp_path: Any) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    plan = plan_without(tmp_path, 'last_login = "coalesce')
    builders.migrated(world, capture=True, plan_path=plan)
    sync_tenants()
    both_loops()
    refused = moved(home)
    assert refused.state == "blocked" and "users: last_login" in refused.error


def test_without_a_living_loop_nothing_is_cut_over(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.migrated(world, capture=True)
    sync_tenants()
    refused = moved(home)
    assert refused.state == "blocked" and "has not started" in refused.error
