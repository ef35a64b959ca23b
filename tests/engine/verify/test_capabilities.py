"""What was derived, told, verified and undone."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration_portal.engine import capabilities
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from tests import builders
from tests.engine.capable import OFFERED, TTLS, iam_change, states
from tests.engine.changes import change, iam
from tests.stack import furnished
from tests.world import World


@furnished
def derived(world: World) -> int:
    """The run of a tenant and a user of whose settings much is derived."""
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.settings_of(world, home, mfa_required=True)
    builders.user(world, home, mfa_enabled=True, mfa_secret_encrypted="c2VjcmV0")
    return builders.migrated(world).pk


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
def test_verification_finds_what_was_not_derived(world: World, derived: int, name: str, slip: str) -> None:
    run = Run.objects.get(pk=derived)
    iam_change(world, slip)
    verify(run, by="tester")
    builders.finish(run)
    severity = {check["name"]: check["severity"] for check in report(run).checks}
    assert severity[name] == "error"


EDITS = (
    "UPDATE tenant_capabilities SET value = '{{\"max_access_token_ttl_minutes\": 1}}' WHERE {row}",
    "UPDATE tenant_capabilities SET enabled = NOT enabled WHERE {row}",
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
