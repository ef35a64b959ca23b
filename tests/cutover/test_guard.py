"""The guard refuses writes on the wrong side."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from flags import homes
from flags.models import TenantHome
from migration_portal.cutover import guard, move, requests
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.engine.guard import hold, release, set_home
from migration_portal.locks import GUARD_BUCKETS, Lock, only_one
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.moving import accepts
from tests.world import World


def test_the_guard_refuses_writes_on_the_wrong_side(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    legacy(world, "UPDATE users SET bio = 'ok'")
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        iam(world, "UPDATE users SET bio = 'no'")
    moved(home)
    iam(world, "UPDATE users SET bio = 'ok'")
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET bio = 'no'")
    guard.switch(on=False, by="tester")
    assert legacy(world, "UPDATE users SET bio = 'no guard'") == 2


def test_a_writer_that_waits_for_the_hold_is_refused_after_the_flip(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    with world.legacy() as holder:
        hold(holder, home, seconds=2)
        with world.legacy() as writer, pytest.raises(psycopg.errors.LockNotAvailable):
            writer.execute("SET lock_timeout = '200ms'")
            writer.execute("UPDATE users SET bio = 'waits'")
        release(holder, home)
    assert legacy(world, "UPDATE users SET bio = 'goes on'") == 2


def test_the_guards_follow_the_homes_after_a_crash_between_them(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    TenantHome.objects.filter(pk=home).update(home="iam")
    assert guard.agree() == 2
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET bio = 'no'")
    assert iam(world, "UPDATE users SET bio = 'yes'") == 2


def test_no_flip_is_signed_between_asking_whose_the_guards_are_and_setting_them_right(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = guard.ownership.check
    waited: list[str] = []

    def then_sign(session: Any, schema: Any, subject: str) -> None:
        check(session, schema, subject)
        with world.legacy() if "legacy" in subject else world.iam() as other:
            other.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("UPDATE portal_capture.portal SET epoch = epoch + 1")
        waited.append(subject)

    monkeypatch.setattr(guard.ownership, "check", then_sign)
    assert guard.agree() == 0 and waited


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_began_before_the_flip_is_told_to_start_again(world: World, home: str, level: str) -> None:
    guard.switch(on=True, by="tester")
    with world.legacy() as writer:
        writer.execute(f"BEGIN ISOLATION LEVEL {level}")
        writer.execute("SELECT count(*) FROM users")
        assert moved(home).state == "done"
        with pytest.raises(psycopg.errors.SerializationFailure):
            writer.execute("UPDATE users SET bio = 'late'")
        writer.execute("ROLLBACK")
        writer.execute(f"BEGIN ISOLATION LEVEL {level}")
        with pytest.raises(psycopg.Error, match="at home on the other system"):
            writer.execute("UPDATE users SET bio = 'late'")


def test_a_table_with_tenants_that_left_cannot_be_truncated(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    legacy(world, "TRUNCATE licenses")
    moved(home)
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "TRUNCATE users CASCADE")


def test_a_tenant_is_born_in_the_iam_with_the_guard_on(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    new = str(uuid.uuid4())
    homes.born_in_iam(new, "Newcomer")
    sync_tenants()  # between the two commits: it must not take the home away
    iam(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, 'Newcomer', 'new')", new)
    guard.agree()
    both_loops()
    assert legacy(world, "SELECT count(*) FROM tenants WHERE id = %s", new) == [(1,)]
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE tenants SET name = 'x' WHERE id = %s", new)


def test_a_guard_on_one_side_alone_is_not_on(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    assert guard.mode().on
    with world.iam() as iam:
        iam.execute("ALTER TABLE users DISABLE TRIGGER USER")
    assert not guard.mode().on


def test_the_guards_are_left_alone_while_tenants_are_moved(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    TenantHome.objects.filter(pk=home).update(home="iam")
    with world.portal() as other, only_one(other, Lock.MOVES):
        assert guard.agree() == 0
    assert guard.agree() == 2


@pytest.mark.parametrize("at", [1, 2])
def test_a_worker_that_dies_between_the_two_guards_leaves_nobody_two_homes(
    world: World, home: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.switch(on=True, by="tester")
    calls = []

    def dies(*arguments: Any, **named: Any) -> None:
        calls.append(named)
        set_home(*arguments, **named)
        if len(calls) == at:
            raise KeyboardInterrupt  # as a kill: nothing below is done

    monkeypatch.setattr(move.guard, "set_home", dies)
    requests.cut_over([TenantHome.objects.get()], by="tester")
    with pytest.raises(KeyboardInterrupt):
        work()
    assert not (accepts(world, "legacy") and accepts(world, "iam"))


def test_a_row_is_not_taken_out_of_a_tenant_that_has_left(world: World, home: str) -> None:
    other = builders.tenant(world)
    both_loops()
    guard.switch(on=True, by="tester")
    assert moved(home).error == ""
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET tenant_id = %s", other)


def test_a_tenant_is_guarded_and_held_however_legacy_spells_it(world: World) -> None:
    builders.legacy_tables(world)
    spelt = builders.tenant(world, id=str(uuid.uuid4()).upper())
    builders.user(world, spelt)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    guard.switch(on=True, by="tester")
    with world.legacy() as holder, world.legacy() as writer:
        hold(holder, spelt, seconds=2)
        writer.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            writer.execute("UPDATE users SET bio = 'waits'")
    assert moved(spelt.lower()).error == ""
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET bio = 'no'")


def test_a_writer_and_a_hold_take_the_same_lock_for_every_tenant(world: World, home: str) -> None:
    """Of 1,024 locks: whoever takes another waits for nobody."""
    guard.switch(on=True, by="tester")
    for number in range(8):
        tenant = str(uuid.UUID(int=number))
        with world.legacy() as writer, writer.transaction():
            writer.execute(
                "INSERT INTO tenants (id, name, slug, max_licenses) VALUES (%s, 'x', %s, 1)", [tenant, tenant]
            )
            locks = "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND pid = pg_backend_pid()"
            taken = writer.execute(locks, [int(Lock.GUARD)]).fetchall()
            wanted = writer.execute("SELECT hashtext(%s) & %s", [tenant, GUARD_BUCKETS - 1]).fetchall()
            assert taken == wanted
