"""Unique values that change hands."""

from __future__ import annotations

import pytest

from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Flow
from migration_portal.runs.connections import open_transfer
from tests import builders
from tests.engine.changes import caught_up, change, iam
from tests.engine.unique_indexes import INDEXES, collide, indexed
from tests.world import World


def test_two_users_swap_their_emails_in_one_batch(world: World, home: str) -> None:
    one = builders.user(world, home, email="one@example.org")
    two = builders.user(world, home, email="two@example.org")
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy, legacy.transaction():
        legacy.execute("UPDATE users SET email = 'x' WHERE id = %s", [one])
        legacy.execute("UPDATE users SET email = 'one@example.org' WHERE id = %s", [two])
        legacy.execute("UPDATE users SET email = 'two@example.org' WHERE id = %s", [one])
    assert caught_up(run).collided == 0
    assert dict(iam(world, "SELECT id::text, email FROM users")) == {one: "two@example.org", two: "one@example.org"}


def test_two_users_of_a_tenant_swap_their_names_in_one_batch(world: World, home: str) -> None:
    one = builders.user(world, home, username="one")
    two = builders.user(world, home, username="two")
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy, legacy.transaction():
        legacy.execute("UPDATE users SET username = 'x' WHERE id = %s", [one])
        legacy.execute("UPDATE users SET username = 'one' WHERE id = %s", [two])
        legacy.execute("UPDATE users SET username = 'two' WHERE id = %s", [one])
    assert caught_up(run).collided == 0
    assert dict(iam(world, "SELECT id::text, username FROM users")) == {one: "two", two: "one"}


def test_a_swap_split_between_batches_takes_the_other_row_along(world: World, home: str) -> None:
    one = builders.user(world, home, email="one@example.org")
    two = builders.user(world, home, email="two@example.org")
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET email = 'x' WHERE id = %s", one)
    change(world, "UPDATE users SET email = 'one@example.org' WHERE id = %s", two)
    change(world, "UPDATE users SET email = 'two@example.org' WHERE id = %s", one)
    with open_transfer(run, "test") as transfer:
        flow = Flow("forward", transfer, transfer.queue, transfer.target)
        while (done := batches.batch(flow, most=1)).entries:
            assert done.collided == 0
    assert dict(iam(world, "SELECT id::text, email FROM users")) == {one: "two@example.org", two: "one@example.org"}


def test_the_email_of_a_user_whose_removal_still_waits_goes_to_its_new_owner_at_once(world: World, home: str) -> None:
    gone = builders.user(world, home, email="one@example.org")
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET email = 'x' WHERE id = %s", gone)
    change(world, "DELETE FROM portal_capture.queue")
    heir = builders.user(world, home, email="one@example.org")
    change(world, "DELETE FROM users WHERE id = %s", gone)
    with open_transfer(run, "test") as transfer:
        flow = Flow("forward", transfer, transfer.queue, transfer.target)
        assert batches.batch(flow, most=1).collided == 0
        batches.drain(flow)
    assert iam(world, "SELECT id::text FROM users") == [(heir,)]


@pytest.mark.parametrize("kind", INDEXES)
def test_values_of_an_index_over_more_than_columns_change_hands_in_one_batch(
    world: World, home: str, kind: str
) -> None:
    indexed(world, kind)
    one, second, third, other, _ = collide(world, home, kind)
    change(world, "DELETE FROM users WHERE id = ANY(%s)", [second, third])
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy, legacy.transaction():
        legacy.execute("CREATE TEMP TABLE before AS SELECT * FROM users WHERE id = ANY(%s)", [[one, other]])
        legacy.execute("UPDATE users SET email = id WHERE id = ANY(%s)", [[one, other]])
        legacy.execute(
            "UPDATE users AS u SET (email, full_name, is_active) = (b.email, b.full_name, b.is_active)"
            " FROM before AS b WHERE b.id <> u.id AND u.id = ANY(%s)",
            [[one, other]],
        )
    assert caught_up(run).collided == 0
    assert sorted(
        iam(world, "SELECT id::text, email, full_name, is_active FROM users WHERE id = ANY(%s::uuid[])", [one, other])
    ) == sorted(legacy_rows(world, one, other))


@pytest.mark.parametrize("kind", INDEXES)
def test_a_change_that_collides_in_such_an_index_waits_until_its_place_is_free(
    world: World, home: str, kind: str
) -> None:
    indexed(world, kind)
    run = builders.migrated(world, capture=True)
    one, second, third, *_ = collide(world, home, kind)
    assert caught_up(run).collided == 2
    assert len(iam(world, "SELECT FROM users")) == 3
    change(world, "DELETE FROM users WHERE id = ANY(%s)", [one, third])
    change(world, "UPDATE portal_capture.queue SET not_before = now()")  # its turn has come
    assert caught_up(run).collided == 0
    assert (second,) in iam(world, "SELECT id::text FROM users")


def legacy_rows(world: World, *ids: str) -> list[tuple[object, ...]]:
    with world.legacy() as legacy:
        return legacy.execute(
            "SELECT id, email, full_name, is_active FROM users WHERE id = ANY(%s)", [list(ids)]
        ).fetchall()
