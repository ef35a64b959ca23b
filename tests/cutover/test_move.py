"""Moving tenants to the IAM and back: what each side holds, and who may write, before and after."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from flags import homes
from flags.models import TenantHome
from migration_portal.cutover import follow_up, guard, move, requests
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.engine import capture_queue
from migration_portal.locks import Lock
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
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


def test_a_tenant_moves_with_the_changes_that_were_still_waiting(world: World, home: str) -> None:
    legacy(world, "UPDATE users SET full_name = 'Last word' WHERE username = 'ann'")
    done = moved(home)
    assert done.error == ""
    assert TenantHome.objects.get(pk=home).home == "iam"
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Last word",)]
    assert done.hold_ms is not None and done.hold_ms < 5000


def test_writes_in_the_iam_flow_back_and_survive_the_way_back(world: World, home: str) -> None:
    moved(home)
    new = str(uuid.uuid4())
    iam(world, "UPDATE users SET full_name = 'From the IAM' WHERE username = 'ann'")
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'bob')")
    iam(world, "DELETE FROM users WHERE username = 'bob'")
    iam(world, "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (%s, %s, 'eve', 'x')", new, home)
    both_loops()
    assert legacy(world, "SELECT username, full_name FROM users ORDER BY 1") == [("ann", "From the IAM"), ("eve", None)]
    assert moved(home, "legacy").state == "done"
    legacy(world, "UPDATE users SET full_name = 'At home again' WHERE username = 'ann'")
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("At home again",)]


def test_nothing_echoes_between_the_two_directions(world: World, home: str) -> None:
    moved(home)
    iam(world, "UPDATE users SET full_name = 'Once' WHERE username = 'ann'")
    both_loops()
    with world.legacy() as theirs, world.iam() as ours:
        assert capture_queue.lag(theirs).entries == capture_queue.lag(ours).entries == 0


def test_an_open_transaction_aborts_the_cut_over_at_its_deadline(world: World, home: str, settings: Any) -> None:
    settings.CUTOVER_HOLD_SECONDS = 0.5
    guard.switch(on=True, by="tester")
    with world.legacy() as writer, writer.transaction():
        writer.execute("UPDATE users SET bio = 'slow'")
        done = moved(home)
    assert done.state == "blocked" and "did not pause" in done.error
    assert TenantHome.objects.get(pk=home).home == "legacy"
    assert legacy(world, "UPDATE users SET bio = 'still here'") == 2
    both_loops()
    assert moved(home).state == "done"


def test_a_run_and_an_undo_wait_until_every_tenant_is_back(world: World, home: str) -> None:
    moved(home)
    with pytest.raises(Refusal, match="at home in the IAM"):
        start(by="tester")
    with pytest.raises(Refusal, match="at home in the IAM"):
        undo(Run.objects.get(), by="tester", reason="test")


def test_verifying_again_passes_while_tenants_live_on_both_sides(world: World, home: str) -> None:
    builders.user(world, builders.tenant(world))
    both_loops()
    sync_tenants()
    moved(home)
    iam(world, "UPDATE users SET failed_login_attempts = 3, bio = 'new' WHERE username = 'ann'")
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (gen_random_uuid(), %s, 'eve', 'x')",
        home,
    )
    iam(
        world,
        "INSERT INTO user_roles (user_id, role_id) SELECT id, '00000000-0000-4000-8000-000000000002'"
        " FROM users WHERE username = 'eve'",
    )
    both_loops()
    run = Run.objects.get()
    verify(run, by="tester")
    builders.finish(run)
    assert [c for c in report(run).checks if c["severity"] == "error"] == []
    assert report(run).passed


def test_a_user_born_in_the_iam_has_its_role_after_the_way_back(world: World, home: str) -> None:
    moved(home)
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (gen_random_uuid(), %s, 'eve', 'x')",
        home,
    )
    both_loops()
    moved(home, "legacy")
    both_loops()
    roles = "SELECT count(*) FROM user_roles JOIN users ON users.id = user_id WHERE username = 'eve'"
    assert iam(world, roles) == [(1,)]


@pytest.mark.parametrize("to", ["iam", "legacy"])
def test_a_writer_that_nothing_holds_blocks_the_move_and_is_named(
    world: World, home: str, settings: Any, to: str
) -> None:
    if to == "legacy":
        moved(home)
        both_loops()
    settings.CUTOVER_HOLD_SECONDS = 0.5
    with world.legacy() if to == "iam" else world.iam() as writer, writer.transaction():
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


def test_a_table_emptied_after_its_tenant_left_is_listed_row_by_row(world: World, home: str) -> None:
    moved(home)
    legacy(world, "TRUNCATE users CASCADE")
    both_loops()
    assert iam(world, "SELECT count(*) FROM users") == [(2,)]
    assert Stray.objects.filter(what="deleted", table_name="users").count() == 2


def test_what_follows_a_flip_is_done_later_if_it_failed(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    moved(home)
    made = Cutover.objects.get()
    assert made.followed_up_at is not None
    Cutover.objects.update(followed_up_at=None)
    iam(world, "UPDATE portal_capture.homes SET here = false")
    assert follow_up.resume() == 1
    assert iam(world, "UPDATE users SET bio = 'open again'") == 2


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


def test_a_flip_that_waits_past_its_hold_is_not_made(world: World, home: str, settings: Any) -> None:
    settings.CUTOVER_HOLD_SECONDS = 0.7
    requests.cut_over([TenantHome.objects.get(pk=home)], by="tester")
    other = world.portal()
    other.execute("BEGIN")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [int(Lock.AUDIT)])
    ending = threading.Timer(6.0, lambda: other.execute("COMMIT"))
    ending.start()
    work()
    ending.join()
    other.close()
    done = Cutover.objects.get()
    assert TenantHome.objects.get(pk=home).home == "legacy" and done.state == "blocked"
    assert legacy(world, "SELECT count(*) FROM portal_capture.homes WHERE NOT here") == [(0,)]
    assert moved(home).state == "done"


def test_a_trigger_of_legacys_does_not_trap_a_tenant_in_the_iam(world: World, home: str) -> None:
    moved(home)
    legacy(
        world,
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.updated_at := '2000-01-01'; RETURN NEW; END $$",
    )
    legacy(world, "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp()")
    iam(world, "UPDATE users SET full_name = 'From the IAM', updated_at = '2026-01-02'")
    both_loops()
    assert legacy(world, "SELECT DISTINCT full_name, updated_at::date::text FROM users") == [
        ("From the IAM", "2026-01-02")
    ]
    assert moved(home, "legacy").error == ""


def test_what_reverse_has_not_brought_back_yet_is_no_finding(world: World, home: str) -> None:
    moved(home)
    iam(world, "UPDATE users SET full_name = 'Not there yet'")
    verify(Run.objects.get(), by="tester")
    run = builders.finish(Run.objects.get())
    assert report(run).passed


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


def test_new_rows_get_numbers_beyond_those_that_were_copied(world: World, home: str) -> None:
    iam(world, "ALTER TABLE licenses ADD COLUMN number serial")
    iam(world, "INSERT INTO licenses (tenant_id, license_key, number) SELECT id, 'x', 41 FROM tenants")
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        connection.execute("DELETE FROM licenses")
    builders.licence(world, home)
    both_loops()
    iam(world, "UPDATE licenses SET number = 41")
    assert moved(home).error == ""
    assert iam(world, "SELECT nextval(pg_get_serial_sequence('licenses', 'number')) > 41") == [(True,)]


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
    monkeypatch.setattr(move, "_LOCK_TIMEOUT", "300ms")
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
