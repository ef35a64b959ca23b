"""Odd rows of a released service, moved to and fro: whose they are, and whether they come back."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from config.main_job import RELEASED_PLAN
from iam.models import User
from iam.removal import remove
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.refusal import Refusal
from migration_portal.runs.report import report
from migration_portal.sample import fill
from migration_portal.schema import apply
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World

A, B = "a0000000-0000-4000-8000-000000000001", "b0000000-0000-4000-8000-000000000001"
U1, U2 = "c0000000-0000-4000-8000-000000000001", "d0000000-0000-4000-8000-000000000001"
R1, R2 = "e0000000-0000-4000-8000-000000000001", "e0000000-0000-4000-8000-000000000002"
P1, P2 = "f0000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000002"


@pytest.fixture(autouse=True)
def _tables(world: World, settings: Any) -> None:
    """Two tenants with a user each."""
    settings.MIGRATION_PLAN = str(RELEASED_PLAN)
    with world.legacy() as connection:
        for part in ("schema", "constraints"):
            connection.execute((fill._HERE / f"released/{part}.sql").read_bytes())
        for tenant in (A, B):
            connection.execute(
                "INSERT INTO tenants (id, name, slug, max_licenses, is_active) VALUES (%s, 'x', %s, 5, true)",
                [tenant, tenant],
            )
    user(world, U1, A)
    user(world, U2, B)


def user(world: World, id: str, tenant: str, **more: Any) -> None:
    name = uuid.uuid4().hex
    row = {
        "id": id,
        "tenant_id": tenant,
        "email": name,
        "username": name,
        "hashed_password": "x",
        "is_active": True,
    } | more
    legacy(world, f"INSERT INTO users ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", *row.values())


def role(world: World, id: str, name: str, tenant: str | None = None) -> None:
    legacy(world, "INSERT INTO roles (id, name, is_system, tenant_id) VALUES (%s, %s, false, %s)", id, name, tenant)


def permission(world: World, id: str, resource: str, action: str) -> None:
    statement = "INSERT INTO permissions (id, name, resource, action, is_system) VALUES (%s, %s, %s, %s, true)"
    legacy(world, statement, id, f"{resource}.{action}", resource, action)


def client(world: World, secret: str) -> None:
    statement = (
        "INSERT INTO oauth_clients (id, client_id, client_secret_hash, client_name, client_type, allowed_grant_types, tenant_id)"
        " VALUES (%s, 'c', %s, 'n', 'confidential', '[]', %s)"
    )
    legacy(world, statement, R1, secret, A)


def a_moved(world: World) -> None:
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(A).error == ""


def comes_back() -> None:
    both_loops()
    assert moved(A, "legacy").error == ""


def test_what_a_twins_double_has_is_not_given_to_the_twin(world: World) -> None:
    user(world, U1.upper(), B, is_superuser=True)
    role(world, R2, "auditor", B)
    legacy(
        world, "INSERT INTO social_connections (id, user_id, provider, provider_user_id) VALUES (%s, %s, 'google', 'twin')",
        R1, U1.upper(),
    )  # fmt: skip
    legacy(world, "INSERT INTO user_roles (user_id, role_id) VALUES (%s, %s)", U1.upper(), R2)
    found = report(builders.migrated(world, capture=True))
    assert (
        iam(world, "SELECT count(*) FROM social_connections") == iam(world, "SELECT count(*) FROM user_roles") == [(0,)]
    )
    assert found.accounted and found.tables["user_roles"].reasons == {"user_is_a_duplicate": 1}


def test_users_of_a_tenants_double_do_not_join_the_tenant(world: World) -> None:
    legacy(world, "INSERT INTO tenants (id, name, slug, max_licenses) VALUES (%s, 'twin', 'twin', 5)", A.upper())
    user(world, R1, A.upper())
    builders.migrated(world, capture=True)
    assert iam(world, "SELECT count(*) FROM users WHERE id = %s", R1) == [(0,)]


def test_a_global_role_of_legacys_that_gets_another_name_leaves_the_default_one(world: World) -> None:
    role(world, R1, "admin")
    permission(world, P1, "users", "read")
    builders.migrated(world, capture=True)
    legacy(world, "UPDATE roles SET name = 'boss' WHERE id = %s", R1)
    legacy(world, "UPDATE permissions SET action = 'look' WHERE id = %s", P1)
    both_loops()
    assert iam(world, "SELECT name FROM roles ORDER BY 1") == [("admin",), ("boss",), ("user",)]
    assert iam(world, "SELECT count(*) FROM permissions WHERE code = 'users:read'") == [(1,)]


def test_permissions_that_swap_what_they_are_about_arrive(world: World) -> None:
    permission(world, P1, "a", "b")
    permission(world, P2, "c", "d")
    builders.migrated(world, capture=True)
    with world.legacy() as connection, connection.transaction():
        for resource, action, id in (("tmp", "b", P1), ("a", "b", P2), ("c", "d", P1)):
            connection.execute(
                "UPDATE permissions SET resource = %s, action = %s WHERE id = %s", [resource, action, id]
            )
    both_loops()
    assert iam(world, "SELECT code FROM permissions WHERE id = %s", P1) == [("c:d",)]


def test_who_has_signed_in_before_can_be_removed_in_the_iam(world: World) -> None:
    legacy(world, "INSERT INTO user_sessions (id, user_id, session_id, expires_at) VALUES (%s, %s, 's', now())", R1, U1)
    a_moved(world)
    remove(User.objects.get(pk=U1))
    comes_back()
    assert legacy(world, "SELECT count(*) FROM users WHERE id = %s", U1) == [(0,)]


def test_a_secret_renewed_in_the_iam_comes_back(world: World) -> None:
    client(world, "clear")
    a_moved(world)
    iam(world, "UPDATE oauth_clients SET client_secret_hash = %s", "a" * 64)
    comes_back()
    legacy(world, "UPDATE oauth_clients SET client_name = 'm'")
    both_loops()
    assert iam(world, "SELECT client_secret_hash, client_name FROM oauth_clients") == [("a" * 64, "m")]


def test_a_role_that_legacy_removed_meanwhile_is_there_again_for_who_has_it(world: World) -> None:
    role(world, R1, "helper")
    a_moved(world)
    legacy(world, "DELETE FROM roles WHERE id = %s", R1)
    iam(world, "INSERT INTO user_roles (user_id, role_id) VALUES (%s, %s)", U1, R1)
    for _ in range(4):
        both_loops()
        for side in (legacy, iam):
            side(world, "UPDATE portal_capture.queue SET not_before = now()")
    comes_back()
    assert legacy(world, "SELECT role_id FROM user_roles WHERE user_id = %s", U1) == [(R1,)]


def test_a_change_of_case_is_a_change_where_the_column_takes_no_notice_of_it(world: World) -> None:
    for side in (legacy, iam):
        side(world, "CREATE EXTENSION citext")
    apply.apply(by="tester")
    legacy(world, "ALTER TABLE users ALTER username TYPE citext")
    iam(world, "ALTER TABLE users ALTER full_name TYPE citext")
    legacy(world, "UPDATE users SET full_name = 'bob'")
    builders.migrated(world, capture=True)
    legacy(world, "UPDATE users SET full_name = 'BOB' WHERE id = %s", U1)
    both_loops()
    assert iam(world, "SELECT full_name::text FROM users WHERE id = %s", U1) == [("BOB",)]
    sync_tenants()
    assert moved(A).error == ""
    name = legacy(world, "SELECT username::text FROM users WHERE id = %s", U1)[0][0]
    iam(world, "UPDATE users SET username = %s WHERE id = %s", name.upper(), U1)
    comes_back()
    assert legacy(world, "SELECT username::text FROM users WHERE id = %s", U1) == [(name.upper(),)]


def test_the_script_keeps_the_ids_of_permissions_that_are_not_the_iams_own(world: World) -> None:
    apply.roll_back(by="tester", reason="test", to="007_sessions")
    iam(world, "INSERT INTO permissions (id, name, resource, action, is_system) VALUES (%s, 'x.y', 'x', 'y', true)", P2)
    apply.apply(by="tester")
    assert iam(world, "SELECT id::text FROM permissions WHERE resource = 'x'") == [(P2,)]
    assert iam(world, "SELECT count(*) FROM permissions WHERE id = md5(code)::uuid") == [(10,)]


def test_the_script_is_not_rolled_back_over_what_would_be_lost(world: World) -> None:
    legacy(world, "UPDATE users SET oauth_provider = 'google', oauth_id = 'g'")
    builders.migrated(world)
    with pytest.raises(Refusal, match="would be lost"):
        apply.roll_back(by="tester", reason="test", to="007_sessions")
    assert iam(world, "SELECT oauth_id FROM users") == [("g",), ("g",)]


def test_how_often_a_subscription_is_renewed_follows_its_plan(world: World) -> None:
    legacy(world, "INSERT INTO products (id, name, version) VALUES (%s, 'p', 1)", P1)
    legacy(
        world, "INSERT INTO plan_definitions (id, product_id, name, price, billing_interval) VALUES (%s, %s, 'n', 1, 'monthly')",
        P2, P1,
    )  # fmt: skip
    builders.migrated(world, capture=True)
    legacy(world, "UPDATE plan_definitions SET billing_interval = 'yearly'")
    both_loops()
    assert iam(world, "SELECT billing_interval FROM subscription_plans") == [("yearly",)]
