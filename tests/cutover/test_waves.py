"""Waves: who is in one, when its moves may begin, what stops them, how far it is."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import time as clock
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import OperationalError, connections, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from flags.models import TenantHome
from migration_portal.audit import chain
from migration_portal.audit.models import Event
from migration_portal.cutover import movers, progress, requests, waves, windows
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.cutover.move import _Move
from migration_portal.cutover.work import work
from migration_portal.monitoring.models import Alert
from migration_portal.refusal import Refusal
from tests.cutover.moves import moved
from tests.cutover.waves import TENANTS, moved_to_iam, planned
from tests.world import World, eventually

# Moves beside each other


def test_moves_run_beside_each_other_up_to_the_waves_limit(
    many: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CUTOVER_AT_ONCE = 6
    going, most, lock = [0], [0], threading.Lock()
    before = _Move.prepare

    def counted(self: _Move) -> bool:
        with lock:
            going[0] += 1
            most[0] = max(most[0], going[0])
        time.sleep(0.3)
        try:
            return before(self)
        finally:
            with lock:
                going[0] -= 1

    monkeypatch.setattr(_Move, "prepare", counted)
    waves.start(planned(at_once=3), by="otto")
    work()
    assert moved_to_iam() == set(many) and most[0] == 3
    assert Cutover.objects.filter(state="done", followed_up_at__isnull=False).count() == TENANTS


def test_the_sessions_of_a_mover_are_kept_and_closed_at_the_end(many: list[str], world: World, settings: Any) -> None:
    settings.CUTOVER_AT_ONCE = 2
    opened: list[Any] = []
    before = movers.Mover._open
    pytest.MonkeyPatch().setattr(movers.Mover, "_open", lambda *a: opened.append(1) or before(*a))
    waves.start(planned(), by="otto")
    work()
    movers.Mover._open = before  # type: ignore[method-assign]
    assert moved_to_iam() == set(many) and len(opened) == 2
    holding = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%hold%'"
    with world.legacy() as legacy:
        eventually(lambda: legacy.execute(f"SELECT {holding}").rowcount == 0, 10)  # a server notices a moment later


def test_a_blocked_tenant_keeps_no_other_from_moving(many: list[str], world: World) -> None:
    with world.iam() as connection:
        connection.execute("UPDATE users SET full_name = 'Changed' WHERE tenant_id = %s", [many[2]])
    wave = planned()
    waves.start(wave, by="otto")
    work()
    waves.tick()
    wave.refresh_from_db()
    found = progress.of(wave)
    assert (found.all, found.moved, found.blocked, wave.state) == (TENANTS, TENANTS - 1, 1, "done")
    assert [str(move.tenant) for move in progress.blocked(wave)] == ["Tenant 2"]
    assert "differ between the two systems" in progress.reasons(progress.blocked(wave))[0][0]


# Stopping


def test_stop_acts_at_once_and_leaves_nothing_half(
    many: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any, world: World
) -> None:
    settings.CUTOVER_AT_ONCE = 3
    begun = threading.Semaphore(0)
    go = threading.Event()
    before = _Move.prepare

    def waits(self: _Move) -> bool:
        found = before(self)
        begun.release()
        go.wait(20)
        return found

    wave = planned()
    waves.start(wave, by="otto")
    monkeypatch.setattr(_Move, "prepare", waits)
    worker = threading.Thread(target=work_and_close)
    worker.start()
    for _ in range(3):
        assert begun.acquire(timeout=30)
    assert waves.stop(wave, by="otto", reason="complaints") == TENANTS
    assert not Cutover.objects.under_way().exists()
    go.set()
    worker.join(30)
    assert moved_to_iam() == set()
    assert not TenantHome.objects.filter(held_until__isnull=False).exists()
    assert set(Cutover.objects.values_list("state", flat=True)) == {"stopped"}
    with world.legacy() as legacy:
        locks = legacy.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                               "(SELECT oid FROM pg_database WHERE datname = current_database())").fetchone()  # fmt: skip
    assert locks == (0,)
    assert waves.retry(wave, by="otto") == TENANTS
    monkeypatch.setattr(_Move, "prepare", before)
    work()
    assert moved_to_iam() == set(many)


def work_and_close() -> None:
    from django.db import connections

    try:
        work()
    finally:
        connections.close_all()


def test_a_stop_that_comes_with_the_flip_is_before_it_or_after_it(
    many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the transaction of the flip the state is asked last: who comes first wins."""
    before = _Move._record

    def stopped_first(self: _Move, *arguments: Any) -> None:
        waves.stop_all(by="otto", reason="now")
        before(self, *arguments)

    monkeypatch.setattr(_Move, "_record", stopped_first)
    asked = requests.cut_over([TenantHome.objects.get(pk=many[0])], by="otto")[0]
    work()
    asked.refresh_from_db()
    assert asked.state == "stopped" and moved_to_iam() == set()
    monkeypatch.setattr(_Move, "_record", before)
    requests.cut_over([TenantHome.objects.get(pk=many[0])], by="otto")
    work()
    assert waves.stop_all(by="otto", reason="too late") == 0 and moved_to_iam() == {many[0]}


def test_a_wave_is_guarded_unless_somebody_says_otherwise(many: list[str]) -> None:
    assert waves.plan("w", {"kind": "named", "tenants": many[:1]}, by="otto").guarded


@pytest.mark.parametrize(("at_once", "well"), [(0, False), (1, True), (64, True), (65, False)])
def test_from_one_to_sixty_four_tenants_move_at_once(many: list[str], at_once: int, well: bool) -> None:
    with contextlib.nullcontext() if well else pytest.raises(Refusal, match="From 1 to 64"):
        planned(at_once=at_once)


@pytest.mark.parametrize(("said", "told"), [("", "of the plan"), ("of the start", "of the start")])
def test_moves_have_the_reason_of_the_start_or_of_the_plan(many: list[str], said: str, told: str) -> None:
    wave = planned(reason="of the plan")
    waves.start(wave, by="otto", reason=said)
    assert set(Cutover.objects.values_list("reason", flat=True)) == {told}


def test_no_setting_keeps_every_move_from_being_made(many: list[str], settings: Any) -> None:
    settings.CUTOVER_AT_ONCE = 0
    assert moved(many[0]).error == ""


def test_stopping_and_skipping_need_a_reason(many: list[str]) -> None:
    wave = planned()
    for verb in (waves.skip, waves.promote):
        with pytest.raises(Refusal, match="needs a reason"):
            verb(wave, by="otto", reason=" ")
    with pytest.raises(Refusal, match="needs a reason"):
        waves.stop_all(by="otto", reason="")


# Pausing, waiting, the clock


def test_a_paused_wave_begins_no_move_until_it_is_resumed(many: list[str]) -> None:
    wave = planned()
    waves.start(wave, by="otto")
    waves.pause(wave, by="otto")
    assert work() == 0 and moved_to_iam() == set()
    waves.resume(wave, by="otto")
    work()
    assert moved_to_iam() == set(many)


def test_other_moves_are_made_while_a_wave_is_paused(many: list[str]) -> None:
    wave = planned({"kind": "named", "tenants": many[:2]})
    waves.start(wave, by="otto")
    waves.pause(wave, by="otto")
    requests.cut_over([TenantHome.objects.get(pk=many[5])], by="otto")
    work()
    assert moved_to_iam() == {many[5]}


@pytest.mark.parametrize("trouble", ["alert", "lag", "doors"])
def test_a_guarded_wave_waits_while_something_is_not_well(many: list[str], trouble: str) -> None:
    from migration_portal.catchup.models import FlowStatus
    from migration_portal.rollback.doors import close_doors

    if trouble == "alert":
        Alert.objects.create(key="watch:disk", severity="critical", what="The disk is full.")
    elif trouble == "lag":
        FlowStatus.objects.filter(pk="forward").update(lag_seconds=configured.CUTOVER_MAX_LAG_SECONDS + 9, entries=9)
    else:
        close_doors(by="otto", reason="upgrade")
    wave = planned(guarded=True)
    waves.start(wave, by="otto")
    wave.refresh_from_db()
    assert wave.waits_for and work() == 0
    waves.promote(wave, by="otto", reason="I know")
    wave.refresh_from_db()
    assert wave.waits_for == "" and wave.runs
    assert Event.objects.filter(verb="promote_wave", reason="I know").exists()


def test_a_scheduled_wave_begins_when_its_time_has_come(many: list[str]) -> None:
    later = planned({"kind": "named", "tenants": many[:1]}, "later", starts_at=timezone.now() + timedelta(hours=1))
    due = planned({"kind": "named", "tenants": many[1:2]}, "due", starts_at=timezone.now() - timedelta(seconds=1))
    waves.tick()
    later.refresh_from_db()
    due.refresh_from_db()
    assert (later.state, due.state) == ("planned", "running")
    waves.skip(later, by="otto", reason="not this week")
    work()
    waves.tick()
    due.refresh_from_db()
    assert due.state == "done" and moved_to_iam() == {many[1]}


def test_a_wave_waits_for_its_maintenance_window(many: list[str]) -> None:
    now = timezone.localtime()
    past, long_past = (now - timedelta(hours=1)).time(), (now - timedelta(hours=2)).time()
    wave = planned(window=(long_past, past))
    waves.start(wave, by="otto")
    assert work() == 0
    Wave.objects.filter(pk=wave.pk).update(closes=(now + timedelta(hours=1)).time())
    waves.tick()
    work()
    assert moved_to_iam() == set(many)


@given(st.times(), st.times(), st.times())
def test_a_window_and_the_rest_of_the_day_are_a_day(now: clock, opens: clock, closes: clock) -> None:
    if opens != closes:
        assert windows.within(now, opens, closes) != windows.within(now, closes, opens)


def test_the_time_left_is_told_when_it_can_be(many: list[str]) -> None:
    wave = planned()
    waves.start(wave, by="otto")
    assert progress.of(wave).seconds_left is None
    now = timezone.now()
    for n, move in enumerate(Cutover.objects.order_by("id")[:4]):
        Cutover.objects.filter(pk=move.pk).update(state="done", finished_at=now + timedelta(seconds=2 * n))
    wave.refresh_from_db()
    assert progress.of(wave).seconds_left == 2 * (TENANTS - 4)


def test_a_stop_and_a_flip_do_not_wait_for_each_other(home: str) -> None:
    """A flip locks its move's row and then records; a stop that had recorded first waited for the row, and both for ever."""
    wave = waves.plan("all", {"kind": "share", "percent": 100}, by="otto", guarded=False)
    waves.start(wave, by="otto")
    locked, failed = threading.Event(), []

    def flip() -> None:
        try:
            with transaction.atomic():
                Cutover.objects.update(state=Cutover.State.HOLDING)
                locked.set()
                time.sleep(0.5)  # the stop has begun to wait
                chain.record("cut_over", object_type="tenanthome", object_id=home)
        except OperationalError as error:
            failed.append(str(error))
        finally:
            connections.close_all()

    flipping = threading.Thread(target=flip)
    flipping.start()
    assert locked.wait(10)
    assert waves.stop(wave, by="otto", reason="complaints") == 1
    flipping.join()
    assert failed == []
