"""The released Sigma Permit's whole schema: copied, followed, moved, brought back, and undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from config.main_job import RELEASED_PLAN
from migration_portal.cutover import guard
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.stack import furnished
from tests.world import World


@furnished
def released(world: World) -> tuple[int, Any]:
    """The run, and what must be kept back of each table."""
    with override_settings(MIGRATION_PLAN=str(RELEASED_PLAN)):
        dirt = world.sample(400, 10, flavour="released")
        return builders.migrated(world, capture=True).pk, dirt.quarantined()


@pytest.fixture
def run(world: World, settings: Any, released: tuple[int, Any]) -> Run:
    settings.MIGRATION_PLAN = str(RELEASED_PLAN)
    world.expected = released[1]  # type: ignore[attr-defined]
    return Run.objects.get(pk=released[0])


def home_of(world: World) -> str:
    """A tenant that has an administrator."""
    return str(legacy(world, "SELECT tenant_id FROM users WHERE is_superuser ORDER BY id LIMIT 1")[0][0])


def everything(world: World, tenant: str) -> list[Any]:
    """What legacy holds of the tenant, in SQL of the test's own."""
    of_users = "(SELECT id FROM users WHERE tenant_id = '{0}')"
    wheres = {
        "tenants": "id = '{0}'", "users": "tenant_id = '{0}'", "licenses": "tenant_id = '{0}'", "roles": "tenant_id = '{0}'",
        "role_permissions": "role_id IN (SELECT id FROM roles WHERE tenant_id = '{0}')",
        "user_roles": f"user_id IN {of_users}", "user_sessions": f"user_id IN {of_users}",
        "social_connections": f"user_id IN {of_users}",
        "oauth_client_users": f"user_id IN {of_users}", "oauth_clients": "tenant_id = '{0}'",
    }  # fmt: skip
    return [
        legacy(world, f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE {where.format(tenant)} ORDER BY 1")
        for table, where in wheres.items()
    ]


def test_every_row_of_a_released_service_arrives(world: World, run: Run) -> None:
    found = report(run)
    assert found.passed and found.accounted
    rejected = {name: table.reasons for name, table in found.tables.items() if table.reasons}
    assert rejected == world.expected  # type: ignore[attr-defined]
    keys = legacy(
        world, "SELECT count(*) FROM licenses WHERE length(license_key) = 392 AND license_key LIKE 'MIIBIjAN%%IDAQAB'"
    )
    assert keys == [(400,)]
    assert iam(world, "SELECT count(*) FROM licenses WHERE length(license_key) = 392") == [(397,)]


def test_the_plan_fits_without_a_warning(world: World, run: Run) -> None:
    told = preflight()
    assert [found for found in told["findings"] if found["severity"] == "error"] == []
    columns = [found for found in told["findings"] if "mapped nowhere" in found["what"] or "reverse" in found["what"]]
    assert columns == []


def test_legacys_roles_take_the_places_of_the_default_ones_and_keep_their_ids(world: World, run: Run) -> None:
    assert iam(world, "SELECT id::text FROM roles WHERE tenant_id IS NULL ORDER BY 1") == legacy(
        world, "SELECT id FROM roles WHERE tenant_id IS NULL ORDER BY 1"
    )
    assert iam(world, "SELECT count(*), count(DISTINCT code) FROM permissions") == [(28, 28)]
    granted = "SELECT count(*) FROM role_permissions JOIN roles r ON r.id = role_id WHERE r.name = 'admin'"
    assert iam(world, granted) == [(28,)]


def test_undoing_gives_the_default_roles_back(world: World, run: Run) -> None:
    undo(run, by="tester", reason="test")
    assert builders.finish(run, also=frozenset({State.COMPLETED})).state == State.UNDONE
    assert iam(world, "SELECT name FROM roles ORDER BY 1") == [("admin",), ("user",)]
    assert iam(world, "SELECT count(*) FROM permissions") == [(10,)]
    granted = "SELECT r.name, count(*) FROM role_permissions JOIN roles r ON r.id = role_id GROUP BY 1 ORDER BY 1"
    assert iam(world, granted) == [("admin", 10), ("user", 2)]


def test_a_tenant_goes_and_comes_back_as_it_was(world: World, run: Run) -> None:
    home = home_of(world)
    before = everything(world, home)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    assert moved(home, "legacy").error == ""
    both_loops()
    assert everything(world, home) == before


def test_what_is_written_in_the_iam_comes_back_in_every_table(world: World, run: Run) -> None:
    home = home_of(world)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    [(user,)] = iam(world, "SELECT id::text FROM users WHERE tenant_id = %s AND is_superuser LIMIT 1", home)
    [(role,)] = iam(world, "SELECT id::text FROM roles WHERE tenant_id = %s", home)
    iam(world, "UPDATE users SET refresh_token = 'new', profile_visibility = 'private' WHERE id = %s", user)
    iam(world, "INSERT INTO user_roles (user_id, role_id, assigned_by) VALUES (%s, %s, %s)", user, role, user)
    iam(world, "DELETE FROM role_permissions WHERE role_id = %s", role)
    iam(world, "INSERT INTO social_connections (user_id, provider, provider_user_id) VALUES (%s, 'github', 'x')", user)
    both_loops()
    assert moved(home, "legacy").error == ""
    assert legacy(world, "SELECT refresh_token, profile_visibility::text FROM users WHERE id = %s", user) == [
        ("new", "private")
    ]
    assert legacy(world, "SELECT count(*) FROM user_roles WHERE user_id = %s AND role_id = %s", user, role) == [(1,)]
    assert legacy(world, "SELECT count(*) FROM role_permissions WHERE role_id = %s", role) == [(0,)]
    assert legacy(world, "SELECT provider_user_id FROM social_connections WHERE provider = 'github'") == [("x",)]


def test_the_guard_knows_whose_an_assignment_is(world: World, run: Run) -> None:
    home = home_of(world)
    sync_tenants()
    both_loops()
    guard.switch(on=True, by="tester")
    assert moved(home).error == ""
    with pytest.raises(Exception, match="at home on the other system"):
        legacy(world, "DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE tenant_id = %s)", home)


def test_subscriptions_are_followed_for_a_tenant_that_has_left(world: World, run: Run) -> None:
    home = home_of(world)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    legacy(world, "UPDATE subscriptions SET status = 'canceled' WHERE tenant_id = %s", home)
    both_loops()
    assert iam(world, "SELECT DISTINCT status FROM subscriptions WHERE tenant_id = %s", home) == [("canceled",)]


def test_both_shipped_plans_are_beside_each_other() -> None:
    assert sorted(path.name for path in Path(RELEASED_PLAN).parent.glob("*.toml")) == [
        "sigma_permit.toml", "sigma_permit_released.toml",
    ]  # fmt: skip


def test_a_legacy_without_roles_is_given_those_that_a_tenant_brings_back(world: World, settings: Any) -> None:
    settings.MIGRATION_PLAN = str(RELEASED_PLAN)
    world.sample(400, 10, flavour="released")
    for table in ("user_roles", "role_permissions", "roles", "permissions"):
        legacy(world, f"DELETE FROM {table}")
    builders.migrated(world, capture=True)
    home = home_of(world)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    [(user,)] = iam(world, "SELECT id::text FROM users WHERE tenant_id = %s LIMIT 1", home)
    iam(world, "INSERT INTO user_roles (user_id, role_id) SELECT %s, id FROM roles WHERE name = 'admin'", user)
    iam(world, "INSERT INTO roles (name, tenant_id) VALUES ('mine', %s)", home)
    iam(
        world,
        "INSERT INTO role_permissions (role_id, permission_id) SELECT r.id, p.id FROM roles r, permissions p"
        " WHERE r.name = 'mine' AND p.code = 'users:read'",
    )
    both_loops()
    assert moved(home, "legacy").error == ""
    held = "SELECT r.name FROM user_roles u JOIN roles r ON r.id = u.role_id WHERE u.user_id = %s"
    assert legacy(world, held, user) == [("admin",)]
    given = "SELECT p.resource FROM role_permissions g JOIN permissions p ON p.id = permission_id JOIN roles r ON r.id = role_id"
    assert legacy(world, f"{given} WHERE r.name = 'mine'") == [("users",)]
    assert legacy(world, "SELECT count(*) FROM roles WHERE tenant_id IS NULL") == [(2,)]
    assert report(Run.objects.get()).passed
