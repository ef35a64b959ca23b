"""A tenant on hold while it moves: who waits for whom, for how long, and what is looked at once more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import override_settings

from flags import homes
from flags.models import TenantHome
from migration_portal.cutover import guard, move, movers, requests
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.work import work
from migration_portal.locks import Lock
from migration_portal.refusal import Refusal
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World


def after(monkeypatch: pytest.MonkeyPatch, step: str, do: Callable[[], object]) -> None:
    """Let something happen right after this step of a move, the first time it is made."""
    made, waiting = getattr(move._Move, step), [do]

    def then(*arguments: Any, **named: Any) -> Any:
        answer = made(*arguments, **named)
        if waiting:
            waiting.pop()()
        return answer

    monkeypatch.setattr(move._Move, step, then)


def held_for(seconds: float) -> Any:
    """So long for as long as this lasts: what follows has the time that a busy machine needs."""
    return override_settings(CUTOVER_HOLD_SECONDS=seconds)


def test_an_open_transaction_aborts_the_cut_over_at_its_deadline(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    with held_for(0.5), world.legacy() as writer, writer.transaction():
        writer.execute("UPDATE users SET bio = 'slow'")
        done = moved(home)
    assert done.state == "blocked" and "did not pause" in done.error
    assert TenantHome.objects.get(pk=home).home == "legacy"
    assert legacy(world, "UPDATE users SET bio = 'still here'") == 2
    both_loops()
    assert moved(home).state == "done"


@pytest.mark.parametrize("to", ["iam", "legacy"])
def test_a_writer_that_nothing_holds_blocks_the_move_and_is_named(world: World, home: str, to: str) -> None:
    if to == "legacy":
        moved(home)
        both_loops()
    session = world.legacy() if to == "iam" else world.iam()
    with held_for(0.5), session as writer, writer.transaction():
        writer.execute("SET application_name = 'nightly job'")
        writer.execute("UPDATE users SET bio = 'slow'")
        done = moved(home, to)
    assert done.state == "blocked" and "nightly job" in done.error and "did not end in time" in done.error
    both_loops()
    assert moved(home, to).state == "done"
    both_loops()
    assert (iam if to == "iam" else legacy)(world, "SELECT DISTINCT bio FROM users") == [("slow",)]


def test_a_move_waits_for_a_writer_that_ends_in_time(world: World, home: str) -> None:
    writer = world.legacy()
    writer.execute("BEGIN")
    writer.execute("UPDATE users SET bio = 'in time'")
    ending = threading.Timer(1.0, lambda: writer.execute("COMMIT"))
    ending.start()
    done = moved(home)
    ending.join()
    writer.close()
    assert done.error == "" and iam(world, "SELECT DISTINCT bio FROM users") == [("in time",)]


def test_requests_wait_until_the_new_sides_guard_lets_them_write(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    set_home = move.guard.set_home

    def noted(connection: Any, tenant: str, *, here: bool) -> None:
        if here:
            found = TenantHome.objects.get(pk=home)
            seen.append((found.home, found.held))
        set_home(connection, tenant, here=here)

    monkeypatch.setattr(move.guard, "set_home", noted)
    for side in ("iam", "legacy"):
        assert moved(home, side).error == ""
        assert not TenantHome.objects.get(pk=home).held
    assert seen == [("iam", True), ("legacy", True)]


def test_a_flip_that_waits_past_its_hold_is_not_made(world: World, home: str) -> None:
    requests.cut_over([TenantHome.objects.get(pk=home)], by="tester")
    other = world.portal()
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [int(Lock.AUDIT)])
    ending = threading.Timer(6.0, lambda: other.execute("COMMIT"))
    ending.start()
    with held_for(0.7):
        work()
    ending.join()
    other.close()
    done = Cutover.objects.get()
    assert TenantHome.objects.get(pk=home).home == "legacy" and done.state == "blocked"
    assert legacy(world, "SELECT count(*) FROM portal_capture.homes WHERE NOT here") == [(0,)]
    assert moved(home).state == "done"


def test_a_write_between_the_last_look_and_the_flip_is_applied_first(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(
        monkeypatch, "_apply_the_rest",
        lambda: legacy(world, "UPDATE users SET full_name = 'Just in time' WHERE username = 'ann'"),
    )  # fmt: skip
    assert moved(home).error == ""
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Just in time",)]
    assert not Stray.objects.exists()


def test_what_was_written_under_the_hold_is_compared_before_the_flip(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam(
        world, "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.full_name := 'Spoilt'; RETURN NEW; END $$",
    )  # fmt: skip
    iam(world, "CREATE TRIGGER spoil BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION spoil()")
    after(monkeypatch, "prepare", lambda: legacy(world, "UPDATE users SET full_name = 'Right' WHERE username = 'ann'"))
    assert "1 of its rows differ" in moved(home).error
    assert TenantHome.objects.get(pk=home).home == "legacy"


def test_a_flip_that_fails_opens_the_side_that_was_left_again(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.switch(on=True, by="tester")

    def refuse(*_: Any) -> None:
        raise Refusal("The hold's deadline passed.")

    monkeypatch.setattr(move._Move, "_record", refuse)
    assert "deadline passed" in moved(home).error
    assert legacy(world, "UPDATE users SET bio = 'still here'") == 2


def test_a_request_that_had_begun_to_write_is_waited_for(world: World, home: str) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def request() -> None:
        homes.serving(home, write=True)
        begun.set()
        may_end.wait(10)
        legacy(world, "UPDATE users SET full_name = 'Just in time' WHERE username = 'ann'")
        homes.finish()
        connection.close()

    writer = threading.Thread(target=request)
    writer.start()
    begun.wait(10)
    threading.Timer(0.5, may_end.set).start()
    assert moved(home).error == ""
    writer.join()
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Just in time",)]
    assert not Stray.objects.exists()


def test_a_hold_that_has_passed_by_the_databases_clock_flips_nothing(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch, "_apply_the_rest", lambda: TenantHome.objects.update(held_until=Now()))
    assert "deadline passed" in moved(home).error
    assert TenantHome.objects.get(pk=home).home == "legacy"


def test_a_table_that_somebody_keeps_locked_blocks_the_move_in_time(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movers, "_LOCK_TIMEOUT", "300ms")
    with world.legacy() as other, other.transaction():
        other.execute("TRUNCATE licenses")
        refused = moved(home)
    assert refused.state == "blocked" and "Somebody keeps it locked" in refused.error
    assert moved(home).error == ""


def test_a_lock_met_under_the_hold_holds_writers_no_longer_than_the_hold(
    world: World, home: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CUTOVER_HOLD_SECONDS = 0.5
    iam(world, "ALTER TABLE licenses ADD COLUMN number serial")
    guard.switch(on=True, by="tester")
    locked, waited = world.iam(), []
    hold = move.guard.hold

    def then_lock(*arguments: Any, **named: Any) -> None:
        hold(*arguments, **named)
        locked.execute("BEGIN")
        locked.execute("LOCK TABLE licenses")
        writer.start()

    def write() -> None:
        begun = time.monotonic()
        legacy(world, "UPDATE users SET bio = 'waits'")
        waited.append(time.monotonic() - begun)
        locked.execute("ROLLBACK")

    writer = threading.Thread(target=write)
    monkeypatch.setattr(move.guard, "hold", then_lock)
    monkeypatch.setattr(move, "_ATTEMPTS", 1)
    assert moved(home).state == "blocked"
    writer.join()
    locked.close()
    assert waited[0] < 5  # 0.5 where nothing else runs; it was twenty


def test_a_trigger_that_goes_while_a_move_prepares_stops_it(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch, "prepare", lambda: legacy(world, "ALTER TABLE users DISABLE TRIGGER portal_capture"))
    assert "Changes of users are not recorded" in moved(home).error
    assert TenantHome.objects.get(pk=home).home == "legacy"


def test_whole_tables_that_wait_keep_a_tenant_from_being_flipped(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.licence(world, home)
    both_loops()
    after(monkeypatch, "_apply_the_rest", lambda: legacy(world, "TRUNCATE licenses"))
    assert moved(home).error == ""
    assert iam(world, "SELECT count(*) FROM licenses") == [(0,)] and not Stray.objects.exists()
