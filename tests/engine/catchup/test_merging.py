"""One transaction of catch-up: rows written, changed and removed."""

from __future__ import annotations

import uuid

import pytest

from migration_portal.engine.catchup import batches, merging
from migration_portal.engine.catchup.flow import Flow
from migration_portal.locks import Lock
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from tests import builders
from tests.engine.changes import caught_up, change, iam, same
from tests.world import World


def test_a_changed_role_replaces_the_one_before(world: World, home: str) -> None:
    admin = builders.user(world, home, is_superuser=True)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET is_superuser = false WHERE id = %s", admin)
    caught_up(run)
    found = iam(world, "SELECT r.name FROM user_roles u JOIN roles r ON r.id = u.role_id WHERE user_id = %s", admin)
    assert found == [("user",)]
    assert same(run)


def test_a_changed_key_leaves_no_row_behind(world: World, home: str) -> None:
    before, after = builders.licence(world, home), str(uuid.uuid4())
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE licenses SET id = %s WHERE id = %s", after, before)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM licenses") == [(after,)]


def test_truncate_empties_the_iam_too(world: World, home: str) -> None:
    builders.licence(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "TRUNCATE licenses")
    left = builders.licence(world, home)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM licenses") == [(left,)]


def test_a_key_that_changes_with_three_hundred_children_loses_none(world: World, home: str) -> None:
    for _ in range(300):
        builders.user(world, home)
    run = builders.migrated(world, capture=True)
    new = str(uuid.uuid4())
    with world.legacy() as legacy, legacy.transaction():
        legacy.execute("SET LOCAL session_replication_role = replica")
        legacy.execute("UPDATE tenants SET id = %s WHERE id = %s", [new, home])
        legacy.execute("UPDATE users SET tenant_id = %s", [new])
    with open_transfer(run, "test") as transfer:
        flow = Flow("forward", transfer, transfer.queue, transfer.target)
        for _ in range(14):
            batches.batch(flow, most=50)
        change(world, "UPDATE portal_capture.queue SET not_before = clock_timestamp() WHERE attempts > 0")
        batches.batch(flow, most=50)
    assert iam(world, "SELECT count(*) FROM users WHERE tenant_id = %s", new) == [(300,)]
    assert iam(world, "SELECT count(*) FROM portal_ledger.quarantine") == [(0,)]
    assert same(run)


@pytest.mark.parametrize("gone", ["lower", "upper", "both"])
def test_of_two_ids_that_are_one_the_right_row_stays(world: World, home: str, gone: str) -> None:
    lower = str(uuid.uuid4())
    builders.user(world, home, id=lower, full_name="lower")
    builders.user(world, home, id=lower.upper(), full_name="upper")
    run = builders.migrated(world, capture=True)
    for way in ("lower", "upper") if gone == "both" else (gone,):
        change(world, "DELETE FROM users WHERE full_name = %s", way)
    caught_up(run)
    expected = {"lower": [("upper",)], "upper": [("lower",)], "both": []}[gone]
    assert iam(world, "SELECT full_name FROM users") == expected


def test_nobody_merges_beside_somebody_else(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    builders.user(world, home)
    with world.iam() as other, open_transfer(run, "test") as transfer:
        transfer.target.execute("SET lock_timeout = '200ms'")
        with other.transaction():
            merging.lock(other, "forward")
            with pytest.raises(Refusal, match="lock"):
                batches.batch(Flow("forward", transfer, transfer.queue, transfer.target), most=10)
        assert batches.batch(Flow("forward", transfer, transfer.queue, transfer.target), most=10).entries == 1


def test_homes_are_asked_where_no_flip_can_pass_by(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    builders.user(world, home)
    free = []

    def homes() -> frozenset[str]:
        with world.iam() as flip, flip.transaction():
            row = flip.execute("SELECT pg_try_advisory_xact_lock(%s, 1)", [int(Lock.APPLY)]).fetchone()
            free.append(row[0])
        return frozenset()

    with open_transfer(run, "test") as transfer:
        batches.batch(Flow("forward", transfer, transfer.queue, transfer.target, homes), most=10)
    assert free == [False]


def test_a_role_given_in_the_iam_goes_with_its_user(world: World, home: str) -> None:
    clerk = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    with world.iam() as connection:
        connection.execute(
            "INSERT INTO user_roles (user_id, role_id) SELECT %s, id FROM roles WHERE name = 'admin'", [clerk]
        )
    change(world, "DELETE FROM users WHERE id = %s", clerk)
    caught_up(run)
    assert iam(world, "SELECT count(*) FROM users") == iam(world, "SELECT count(*) FROM user_roles") == [(0,)]
