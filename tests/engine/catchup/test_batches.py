"""Captured keys are read in batches and their rows brought over: nothing lost, nothing invented."""

from __future__ import annotations

import uuid

import pytest

from migration_portal.engine import capture
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Flow
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.report import report
from tests import builders
from tests.engine.changes import caught_up, change, iam, same
from tests.world import World


def test_insert_update_and_delete_arrive(world: World, home: str) -> None:
    stays, goes = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    comes = builders.user(world, home)
    change(world, "UPDATE users SET full_name = 'Changed' WHERE id = %s", stays)
    change(world, "DELETE FROM users WHERE id = %s", goes)
    done = caught_up(run)
    assert done.entries == 3
    names = dict(iam(world, "SELECT id::text, full_name FROM users"))
    assert names == {stays: "Changed", comes: "Ann Lee"}
    assert same(run)


def test_a_new_tenant_and_its_users_arrive_in_any_order(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    other = str(uuid.uuid4())
    user = builders.user(world, other)
    with open_transfer(run, "test") as transfer:
        flow = Flow("forward", transfer, transfer.queue, transfer.target)
        assert batches.batch(flow, most=100).collided == 1
        builders.tenant(world, id=other)
        change(world, "UPDATE portal_capture.queue SET not_before = NULL, attempts = 0")
        batches.drain(flow)
    assert iam(world, "SELECT id::text FROM users") == [(user,)]
    assert same(run)


def test_draining_takes_as_many_batches_as_there_are(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    for _ in range(3):
        builders.user(world, home)
    with open_transfer(run, "test") as transfer:
        assert transfer.queue is not None
        done = batches.drain(Flow("forward", transfer, transfer.queue, transfer.target), most=1)
    assert done.entries == 3 and same(run)


def test_a_rolled_back_write_leaves_nothing(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy, pytest.raises(ZeroDivisionError), legacy.transaction():
        legacy.execute("UPDATE tenants SET name = 'never'")
        raise ZeroDivisionError
    assert caught_up(run).entries == 0


def test_a_write_during_the_copy_is_applied_before_constraints_return(world: World, home: str) -> None:
    user = builders.user(world, home, full_name="Early")
    from migration_portal.runs.advance import advance
    from migration_portal.runs.start import start

    run = start(by="tester", capture=True)
    with open_transfer(run, "test") as transfer:
        capture.install(transfer.queue, transfer.plan, transfer.source_catalog)
    change(world, "UPDATE users SET full_name = 'Late' WHERE id = %s", user)
    advance(run)
    builders.finish(run)
    assert iam(world, "SELECT full_name FROM users") == [("Late",)]
    assert report(run).passed
