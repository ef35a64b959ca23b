"""The capability model of migrated rows: the six steps, what follows changes, what is left alone. SQL of our own checks it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.models import TenantHome
from migration_portal.engine import capabilities
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from tests import builders
from tests.engine.changes import caught_up, change, iam
from tests.world import World, eventually

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


def test_the_six_steps(world: World) -> None:
    builders.legacy_tables(world)
    strict, plain = builders.tenant(world), builders.tenant(world)
    builders.settings_of(world, strict, mfa_required=True, **TTLS)
    enrolled = builders.user(
        world, strict, mfa_enabled=True, mfa_secret_encrypted="c2VjcmV0", created_at="2020-01-02T00:00:00Z"
    )
    half = builders.user(world, strict, mfa_enabled=True, updated_at="2021-01-02T00:00:00Z")
    nobody = builders.user(world, plain, mfa_secret_encrypted="c2VjcmV0")
    run = builders.migrated(world)
    assert run.state == State.COMPLETED and report(run).passed, report(run).checks
    assert iam(world, "SELECT count(*) FROM tenant_capabilities") == [(2 * OFFERED,)]
    assert capability(world, strict, "max_token_ttl") == (
        True, {("max_" if not name.startswith("remember") else "") + name: value for name, value in TTLS.items()},
    )  # fmt: skip
    assert capability(world, plain, "max_token_ttl") == (True, None)
    assert capability(world, strict, "mfa") == (True, None)
    assert (features(world, strict), features(world, plain)) == ([("mfa", True)], [])
    assert {name: row[:2] for name, row in states(world, enrolled).items()} == {
        "mfa": (True, None), "totp": (True, {"has_secret": True}),
    }  # fmt: skip
    assert states(world, enrolled)["mfa"][2].year == 2020
    assert list(states(world, half)) == ["mfa"] and states(world, half)["mfa"][2].year == 2021
    assert states(world, nobody) == {}


def test_a_second_run_changes_nothing(world: World) -> None:
    world.sample()
    builders.migrated(world)
    before = snapshot(world)
    again = builders.migrated(world)
    assert snapshot(world) == before and report(again).passed, report(again).checks


def test_a_second_run_leaves_what_an_administrator_edited(world: World) -> None:
    """The original wrote the old settings over it."""
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    builders.migrated(world)
    edit = "UPDATE tenant_capabilities SET value = %s WHERE tenant_id = %s AND capability_key = 'max_token_ttl'"
    iam_change(world, edit, json.dumps({"max_access_token_ttl_minutes": 5}), home)
    iam_change(
        world, "UPDATE tenant_capabilities SET enabled = false WHERE tenant_id = %s AND capability_key = 'mfa'", home
    )
    iam_change(world, "DELETE FROM tenant_feature_enablement WHERE tenant_id = %s", home)
    change(world, "UPDATE tenant_settings SET access_token_ttl_minutes = 77")
    again = builders.migrated(world)
    assert report(again).passed, report(again).checks
    assert capability(world, home, "max_token_ttl") == (True, {"max_access_token_ttl_minutes": 5})
    assert capability(world, home, "mfa") == (False, None)
    assert features(world, home) == []  # a feature is for tenants that have the capability


def test_rows_that_nobody_has_decided_are_filled_and_put_back_by_undo(world: World) -> None:
    """The original's way back nulled every tenant's lifetimes and switched everybody's MFA off."""
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    other = str(uuid.uuid4())
    with world.iam() as connection:
        for tenant in (home, other):
            connection.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Was there', %s)", [tenant, tenant])
        connection.execute(
            "INSERT INTO tenant_capabilities (tenant_id, capability_key, enabled) VALUES (%s, 'max_token_ttl', true),"
            " (%s, 'mfa', false)",
            [home, home],
        )
        connection.execute(
            "INSERT INTO tenant_capabilities (tenant_id, capability_key, enabled, value)"
            " VALUES (%s, 'max_token_ttl', true, '{\"value\": \"5m\"}')",
            [other],
        )
    before = snapshot(world)
    run = builders.migrated(world)
    assert capability(world, home, "max_token_ttl")[1]["max_access_token_ttl_minutes"] == 30  # type: ignore[index]
    assert capability(world, home, "mfa") == (True, None)
    assert capability(world, other, "max_token_ttl") == (True, {"value": "5m"})
    undo(run, by="tester", reason="rehearsal")
    assert builders.finish(run).state == State.UNDONE
    assert snapshot(world) == before


def test_a_capability_that_the_system_does_not_offer_reaches_nobody(world: World) -> None:
    """The original enabled features of tenants that lack the capability."""
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True)
    iam_change(world, "UPDATE system_capabilities SET enabled = false WHERE capability_key = 'mfa'")
    builders.migrated(world)
    assert capability(world, home, "mfa") is None and features(world, home) == []


def test_tenants_marked_as_deleted_are_left_out(world: World) -> None:
    """The original migrated them, too."""
    builders.legacy_tables(world)
    gone, here = builders.tenant(world), builders.tenant(world)
    iam_change(world, "ALTER TABLE tenants ADD COLUMN deleted_at timestamptz")
    for tenant in (gone, here):
        iam_change(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, 'Old', %s)", tenant, tenant)
    iam_change(world, "UPDATE tenants SET deleted_at = now() WHERE id = %s", gone)
    run = builders.migrated(world)
    assert iam(world, "SELECT DISTINCT tenant_id::text FROM tenant_capabilities") == [(here,)]
    assert not [
        check for check in report(run).checks if check["name"] == "capability_mfa" and check["severity"] != "ok"
    ]


def test_changes_in_legacy_follow_until_the_tenant_leaves(world: World) -> None:
    builders.legacy_tables(world)
    home, left = builders.tenant(world), builders.tenant(world)
    for tenant in (home, left):
        builders.settings_of(world, tenant, **TTLS)
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    TenantHome.objects.update_or_create(
        tenant=left, defaults={"legacy_tenant": left, "home": TenantHome.Home.IAM, "left_legacy_at": 1}
    )
    change(world, "UPDATE tenant_settings SET access_token_ttl_minutes = 99, mfa_required = true")
    change(world, "UPDATE users SET mfa_enabled = true, mfa_secret_encrypted = 'c2VjcmV0' WHERE id = %s", user)
    new = builders.tenant(world)
    caught(run)
    assert capability(world, home, "max_token_ttl")[1]["max_access_token_ttl_minutes"] == 99  # type: ignore[index]
    assert capability(world, left, "max_token_ttl")[1]["max_access_token_ttl_minutes"] == 30  # type: ignore[index]
    assert (features(world, home), features(world, left)) == ([("mfa", True)], [])
    assert set(states(world, user)) == {"mfa", "totp"}
    assert capability(world, new, "oidc") == (True, None)
    change(world, "UPDATE tenant_settings SET mfa_required = false WHERE tenant_id = %s", home)
    change(world, "UPDATE users SET mfa_enabled = false WHERE id = %s", user)
    caught(run)
    assert features(world, home) == [] and states(world, user) == {}


def caught(run: Any) -> None:
    """Catch up as the loop does, which asks where tenants live."""
    from migration_portal.catchup.flows import forward
    from migration_portal.engine.catchup import batches

    with forward(run, "test") as flow:
        batches.drain(flow)


def test_rows_gone_from_legacy_take_along_what_was_derived(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True)
    user = builders.user(world, home, mfa_enabled=True)
    run = builders.migrated(world, capture=True)
    iam_change(world, "UPDATE user_capability_state SET last_used_at = now()")
    change(world, "DELETE FROM users WHERE id = %s", user)
    assert caught_up(run).collided == 0
    assert iam(world, "SELECT count(*) FROM users") == [(0,)] and states(world, user) == {}
    change(world, "TRUNCATE tenants CASCADE")
    eventually(lambda: [caught_up(run)] and iam(world, "SELECT count(*) FROM tenants") == [(0,)])


def test_settings_gone_as_a_whole_are_no_longer_obeyed(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True, **TTLS)
    run = builders.migrated(world, capture=True)
    change(world, "TRUNCATE tenant_settings")
    caught_up(run)
    assert capability(world, home, "max_token_ttl") == (True, None) and features(world, home) == []


def test_a_dry_run_says_what_a_run_would_derive(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True)
    builders.user(world, home, mfa_enabled=True, mfa_secret_encrypted="c2VjcmV0")
    run = builders.migrated(world, dry_run=True)
    assert run.state == State.COMPLETED
    found = {check["name"]: check["details"].get("counts") for check in report(run).checks}
    assert found["tenant_capabilities"] == {"added": OFFERED}
    assert found["tenant_feature_enablement"] == {"added": 1}
    assert found["user_capability_state"] == {"added": 2}
    assert iam(world, "SELECT count(*) FROM tenant_capabilities") == [(0,)]


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        ("capability_defaults", "DELETE FROM tenant_capabilities WHERE capability_key = 'oidc'"),
        ("capability_token_lifetimes", "UPDATE tenant_settings SET refresh_token_ttl_days = 3"),
        ("feature_mfa", "UPDATE tenant_settings SET mfa_required = false"),
        ("feature_mfa", "DELETE FROM tenant_feature_enablement"),
        ("user_mfa", "DELETE FROM user_capability_state WHERE capability_key = 'mfa'"),
        ("user_mfa", "UPDATE users SET mfa_enabled = false"),
        ("user_totp", "UPDATE users SET mfa_secret_encrypted = NULL"),
    ],
)
def test_verification_finds_what_was_not_derived(world: World, name: str, slip: str) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True)
    builders.user(world, home, mfa_enabled=True, mfa_secret_encrypted="c2VjcmV0")
    run = builders.migrated(world)
    iam_change(world, slip)
    verify(run, by="tester")
    builders.finish(run)
    severity = {check["name"]: check["severity"] for check in report(run).checks}
    assert severity[name] == "error"


def iam_change(world: World, statement: str, *arguments: Any) -> None:
    with world.iam() as connection:
        connection.execute(statement, arguments)


EDITS = (
    "UPDATE tenant_capabilities SET value = '{{\"max_access_token_ttl_minutes\": 1}}' WHERE {row}",
    "UPDATE tenant_capabilities SET enabled = NOT enabled WHERE {row}",
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 3), st.integers(0, OFFERED - 1), st.sampled_from(EDITS)), max_size=6))
def test_undo_removes_rows_nobody_has_edited_and_lists_the_others(world: World, edits: Any) -> None:
    with world.legacy() as legacy:
        legacy.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    builders.legacy_tables(world)
    for table in ("tenant_capabilities", "tenant_settings", "tenants"):
        iam_change(world, f"DELETE FROM {table}")
    tenants = [builders.tenant(world) for _ in range(4)]
    for tenant in tenants:
        builders.settings_of(world, tenant, **TTLS)
    run = builders.migrated(world)
    keys = [row[0] for row in iam(world, "SELECT DISTINCT capability_key FROM tenant_capabilities ORDER BY 1")]
    edited = set()
    for tenant, key, edit in edits:
        row = f"tenant_id = '{tenants[tenant]}' AND capability_key = '{keys[key]}'"
        iam_change(world, edit.format(row=row))
        edited.add((tenants[tenant], keys[key]))
    wanted = iam(world, "SELECT tenant_id::text, capability_key, enabled, value FROM tenant_capabilities ORDER BY 1, 2")
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    left = iam(world, "SELECT tenant_id::text, capability_key, enabled, value FROM tenant_capabilities ORDER BY 1, 2")
    assert left == [row for row in wanted if row[:2] in edited]
    listed = iam(
        world,
        "SELECT key FROM portal_ledger.left_in_place WHERE run = %s AND table_name = 'tenant_capabilities'",
        run.key,
    )
    assert {tuple(row[0]) for row in listed} == edited


def test_a_row_retried_from_quarantine_gets_its_capabilities(world: World) -> None:
    from migration_portal.runs.models import QuarantinedRow
    from migration_portal.runs.retry import retry_rows

    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, str(uuid.uuid4()), mfa_enabled=True)
    run = builders.migrated(world)
    row = QuarantinedRow.objects.get(run=run.key, table_name="users")
    change(world, "UPDATE users SET tenant_id = %s", home)
    retry_rows([row], by="tester")
    assert set(states(world, row.source_key[0])) == {"mfa"}


def test_what_would_be_derived_is_told_without_deriving(world: World) -> None:
    builders.legacy_tables(world)
    builders.settings_of(world, builders.tenant(world), mfa_required=True)
    run = builders.migrated(world)
    iam_change(world, "DELETE FROM tenant_capabilities WHERE capability_key = 'oidc'")
    iam_change(
        world, "UPDATE tenant_capabilities SET value = '{\"value\": \"1m\"}' WHERE capability_key = 'max_token_ttl'"
    )
    iam_change(world, "UPDATE tenant_settings SET mfa_required = false")
    with open_transfer(run, "test") as transfer:
        told = {each.table: dict(each.counts) for each in capabilities.would(transfer)}
    assert told["tenant_capabilities"] == {"added": 1, "kept": 1}
    assert told["tenant_feature_enablement"] == {"removed": 1}
