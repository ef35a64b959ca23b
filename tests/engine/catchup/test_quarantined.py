"""Rows that catch-up quarantines, and that come back by themselves."""

from __future__ import annotations

import uuid

from migration_portal.engine import capture_queue
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Flow
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import QuarantinedRow
from tests import builders
from tests.engine.changes import caught_up, change, iam, same
from tests.world import World


def test_what_never_settles_is_quarantined_and_comes_back_by_itself(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    missing = str(uuid.uuid4())
    user = builders.user(world, missing)
    with open_transfer(run, "test") as transfer:
        flow = Flow("forward", transfer, transfer.queue, transfer.target)
        for _ in range(batches.MOST_ATTEMPTS):
            batches.batch(flow, most=100)
            change(world, "UPDATE portal_capture.queue SET not_before = now()")
        assert QuarantinedRow.objects.get(table_name="users").reason == "missing_tenants"
        assert capture_queue.lag(transfer.queue).entries == 0
        builders.tenant(world, id=missing)
        while batches.drain(flow).entries:
            pass
    assert iam(world, "SELECT id::text FROM users") == [(user,)]
    assert QuarantinedRow.objects.get(table_name="users").state == "copied"


def test_a_row_that_becomes_unmappable_is_quarantined_and_returns_when_corrected(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "SET session_replication_role = replica; UPDATE users SET tenant_id = 'nobody'")
    caught_up(run)
    assert iam(world, "SELECT count(*) FROM users") == [(0,)]
    assert QuarantinedRow.objects.get(table_name="users").reason == "tenant_id_not_uuid"
    change(world, "UPDATE users SET tenant_id = %s", home)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM users") == [(user,)]
    assert same(run)
