"""Interleavings that should hold."""

import uuid

import pytest

from migration_portal.catchup.flows import FLOWS
from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import owner
from migration_portal.engine.catchup import batches
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import caught_up, same

BRAKE = "UPDATE portal_capture.brake SET upto = 0"


def test_savepoints_past_the_cap(world, home):
    run = Run.objects.get()
    legacy(world, BRAKE)
    with world.legacy() as w:
        w.execute("BEGIN")
        w.execute("SAVEPOINT a")
        w.execute("UPDATE users SET bio = 'gone' WHERE username = 'ann'")
        w.execute("ROLLBACK TO a")
        w.execute("UPDATE users SET bio = 'kept' WHERE username = 'ann'")
        w.execute("COMMIT")
    caught_up(run)
    assert iam(world, "SELECT bio FROM users WHERE username = 'ann'") == [("kept",)]
    assert same(run)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_rr_past_the_cap_after_the_entry_was_taken(world, home, level):
    run = Run.objects.get()
    legacy(world, BRAKE)
    with world.legacy() as w:
        w.execute(f"BEGIN ISOLATION LEVEL {level}")
        w.execute("SELECT 1 FROM users")
        legacy(world, "UPDATE users SET bio = 'b' WHERE username = 'bob'")
        w.execute("SAVEPOINT a")
        w.execute("UPDATE users SET bio = 'x' WHERE username = 'ann'")
        w.execute("ROLLBACK TO a")
        caught_up(run)
        w.execute("UPDATE users SET bio = 'kept' WHERE username = 'ann'")
        caught_up(run)
        w.execute("COMMIT")
    caught_up(run)
    assert iam(world, "SELECT bio FROM users ORDER BY username") == [("kept",), ("b",)]


def test_to_and_fro_and_to(world, home):
    for n in range(2):
        assert moved(home).error == ""
        iam(world, "UPDATE users SET bio = %s WHERE username = 'ann'", f"iam {n}")
        assert moved(home, "legacy").error == ""
        legacy(world, "UPDATE users SET full_name = %s WHERE username = 'bob'", f"legacy {n}")
    assert moved(home).error == ""
    both_loops()
    assert Stray.objects.count() == 0
    q = "SELECT username, bio, full_name FROM users ORDER BY 1"
    assert iam(world, q) == legacy(world, q) == [("ann", "iam 1", "Ann Lee"), ("bob", None, "legacy 1")]
    legacy(world, "UPDATE users SET bio = 'stray' WHERE username = 'ann'")
    both_loops()
    assert Stray.objects.count() == 1


def test_an_open_transaction_across_the_flip_guard_off_is_a_stray(world, home):
    w = world.legacy()
    w.execute("BEGIN")
    w.execute("SELECT pg_current_xact_id()")
    assert moved(home).error == ""
    w.execute("UPDATE users SET bio = 'late' WHERE username = 'ann'")
    w.execute("COMMIT")
    w.close()
    both_loops()
    assert Stray.objects.count() == 1


def test_a_loop_that_was_adopted_away_stops_at_once(world, home):
    run = Run.objects.get()
    with FLOWS["forward"](run, "test") as flow:
        other = owner.Owner(uuid.uuid4(), 99)
        with world.iam() as i, world.legacy() as theirs:
            owner.write(i, "portal_ledger", other)
            owner.write(i, "portal_capture", other)
            owner.write(theirs, "portal_capture", other)
        legacy(world, "UPDATE users SET bio = 'not ours to copy' WHERE username = 'ann'")
        with pytest.raises(Refusal, match="Another portal"):
            batches.batch(flow, most=100)
    assert iam(world, "SELECT bio FROM users WHERE username = 'ann'") == [(None,)]


def test_undo_after_a_row_was_deleted_and_added_again(world):
    builders.legacy_tables(world)
    t = builders.tenant(world)
    u = builders.user(world, t, username="ann", full_name="Legacy")
    iam(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, 'Before', 'before')", t)
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, full_name, hashed_password, bio) VALUES (%s, %s, 'ann', 'Before', 'x', 'b')",
        u,
        t,
    )
    before = iam(
        world,
        "SELECT id::text, tenant_id::text, username, full_name, bio, profile_visibility, email_verified FROM users",
    )
    run = builders.migrated(world, capture=True)
    legacy(world, "DELETE FROM users")
    caught_up(run)
    builders.user(world, t, id=u, username="ann", full_name="Again")
    caught_up(run)
    undo(run, by="t", reason="r")
    builders.finish(run)
    assert (
        iam(
            world,
            "SELECT id::text, tenant_id::text, username, full_name, bio, profile_visibility, email_verified FROM users",
        )
        == before
    )


def test_users_spelled_otherwise_than_their_tenant_are_mirrored_after_the_way_back(world):
    builders.legacy_tables(world)
    low = str(uuid.uuid4())
    builders.tenant(world, id=low)
    builders.user(world, low.upper(), username="ann")  # no foreign key was valid
    builders.user(world, low, username="bob")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(low).error == ""
    iam(world, "DELETE FROM user_roles")
    both_loops()
    assert moved(low, "legacy").error == ""
    both_loops()
    assert iam(world, "SELECT count(*) FROM user_roles") == [(2,)]


def test_a_tenant_reversed_with_whole_entries(world, home):
    assert moved(home).error == ""
    iam(world, BRAKE)
    iam(world, "UPDATE users SET bio = 'w'")
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'bob')")
    iam(world, "DELETE FROM users WHERE username = 'bob'")
    assert moved(home, "legacy").error == ""
    both_loops()
    assert (
        legacy(world, "SELECT username, bio FROM users")
        == iam(world, "SELECT username, bio FROM users")
        == [("ann", "w")]
    )


def test_truncate_cascade_during_the_move(world, home, monkeypatch):
    from migration_portal.cutover import move as moving

    real = moving.guard.wait_for_writers

    def then(*a, **k):
        real(*a, **k)
        legacy(world, "TRUNCATE users CASCADE")

    monkeypatch.setattr(moving.guard, "wait_for_writers", then)
    done = moved(home)
    both_loops()
    both_loops()
    print(done.state, done.error, Stray.objects.count())
    n = iam(world, "SELECT count(*) FROM users")[0][0]
    assert n == 0 if done.state == "blocked" else (n == 0 or Stray.objects.count() == 2)
