"""The capability model of migrated rows: the six steps, what follows changes, what is left alone. SQL of our own checks it."""

from __future__ import annotations

import json
import uuid
from typing import Any

from flags.models import TenantHome
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.engine.capable import OFFERED, TTLS, capability, features, iam_change, snapshot, states
from tests.engine.changes import caught_up, change, iam
from tests.world import World, eventually


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


def test_an_undo_brings_back_what_was_derived_before_with_whom_it_is_of(world: World) -> None:
    builders.legacy_tables(world)
    user = builders.user(world, builders.tenant(world), mfa_enabled=True)
    builders.migrated(world)
    before = states(world, user)
    again = builders.migrated(world, capture=True)
    change(world, "DELETE FROM users WHERE id = %s", user)
    assert caught_up(again).collided == 0 and states(world, user) == {}
    undo(again, by="tester", reason="a test")
    assert builders.finish(again).state == State.UNDONE
    assert before and states(world, user) == before


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
