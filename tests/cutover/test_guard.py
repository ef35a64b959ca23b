"""The guard refuses writes on the wrong side."""

from __future__ import annotations

import psycopg
import pytest

from flags.models import TenantHome
from migration_portal.cutover import guard
from migration_portal.engine import capture
from tests.cutover.moves import iam, legacy, moved
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
        capture.hold(holder, home, seconds=2)
        with world.legacy() as writer, pytest.raises(psycopg.errors.LockNotAvailable):
            writer.execute("SET lock_timeout = '200ms'")
            writer.execute("UPDATE users SET bio = 'waits'")
        capture.release(holder, home)
    assert legacy(world, "UPDATE users SET bio = 'goes on'") == 2


def test_the_guards_follow_the_homes_after_a_crash_between_them(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    TenantHome.objects.filter(pk=home).update(home="iam")
    assert guard.agree() == 2
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET bio = 'no'")
    assert iam(world, "UPDATE users SET bio = 'yes'") == 2
