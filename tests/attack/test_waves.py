"""What strangers found in waves: a wave that cannot begin, two people at once, a stop that is not the end, odd rules."""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.utils import timezone

from flags.models import TenantHome
from migration_portal import console
from migration_portal.cutover import progress, requests, selection, waves, work
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from tests.cutover.waves import many as many
from tests.cutover.waves import moved_to_iam, planned
from tests.world import World


def at_once(*calls: Any) -> list[str]:
    """Make the calls in threads of their own. Returns "ok" or the words of the error, sorted."""
    said: list[str] = []

    def make(call: Any) -> None:
        try:
            call()
            said.append("ok")
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=make, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(said)


def named(tenant: str) -> list[TenantHome]:
    return [TenantHome.objects.get(pk=tenant)]


def test_a_scheduled_wave_begins_beside_a_move_by_hand(many: list[str]) -> None:
    wave = planned(starts_at=timezone.now() - timedelta(seconds=1))
    requests.cut_over(named(many[0]), by="otto")
    work.work()
    waves.tick()
    wave.refresh_from_db()
    assert (wave.state, moved_to_iam()) == ("done", set(many))
    assert progress.of(wave).moved == len(many)


def test_a_wave_that_cannot_begin_keeps_nothing_else_from_moving(
    many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = planned({"kind": "named", "tenants": many[:1]}, starts_at=timezone.now() - timedelta(seconds=1))

    def refuse(*_: Any, **__: Any) -> None:
        raise Refusal("It is broken.")

    monkeypatch.setattr(waves, "_request", refuse)
    requests.cut_over(named(many[1]), by="otto")
    work.work()
    wave.refresh_from_db()
    assert (moved_to_iam(), wave.state, wave.waits_for) == ({many[1]}, "planned", "It is broken.")


def test_two_who_plan_at_once_choose_no_tenant_twice(many: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = selection.select

    def slowly(rule: Any) -> Any:
        found = before(rule)
        time.sleep(0.5)
        return found

    monkeypatch.setattr(selection, "select", slowly)
    quarter = {"kind": "share", "percent": 50}
    said = at_once(lambda: planned(quarter, "a"), lambda: planned(quarter, "b"))
    assert said[1] == "ok" and "No tenant fits" in said[0]
    said = at_once(lambda: planned(name="c"), lambda: planned(name="c"))
    assert said[1] == "ok" and "a wave of that name" in said[0]


def test_a_double_click_asks_once(many: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "take_baseline", lambda _: time.sleep(0.5))
    said = at_once(*[lambda: requests.cut_over(named(many[0]), by="otto")] * 2)
    assert said[1] == "ok" and "being moved already" in said[0]


def test_a_wave_goes_on_after_every_move_was_stopped(many: list[str]) -> None:
    wave = planned()
    waves.start(wave, by="otto")
    assert waves.stop_all(by="otto", reason="lunch") == len(many)
    waves.resume(wave, by="otto")
    work.work()
    assert moved_to_iam() == set(many)


def test_a_slow_wave_leaves_room_for_others(world: World, settings: Any) -> None:
    settings.CUTOVER_AT_ONCE = 4
    homes = [
        TenantHome.objects.create(tenant=str(uuid.uuid4()), legacy_tenant=f"x{n}", home="legacy") for n in range(60)
    ]
    for name, limit, tenants in (("slow", 1, homes[:50]), ("fast", 4, homes[50:])):
        Wave.objects.create(name=name, at_once=limit, state="running", planned_by="otto").tenants.set(tenants)
        Cutover.objects.bulk_create(
            Cutover(tenant=tenant, home="iam", wave=name, requested_by="o") for tenant in tenants
        )
    with ExitStack() as stack:
        assert [move.wave for move in work._Moves(stack)._ready()] == ["slow", "fast", "fast", "fast"]


def test_a_tenant_that_was_moved_by_hand_has_moved(many: list[str]) -> None:
    wave = planned({"kind": "named", "tenants": many[:2]})
    requests.cut_over(named(many[0]), by="otto")
    work.work()
    waves.start(wave, by="otto")
    work.work()
    waves.tick()
    call_command("portal", "wave", "status", "w", "--wait")


def test_a_tenant_that_went_back_has_not_moved(many: list[str]) -> None:
    wave = planned({"kind": "named", "tenants": many[:1]})
    waves.start(wave, by="otto")
    work.work()
    requests.reverse(named(many[0]), by="otto", reason="went wrong")
    work.work()
    assert progress.of(wave).moved == 0


@pytest.mark.parametrize(
    "rule",
    ['{"user_to": 1}', '{"most": -1}', '{"most": 0}', '{"most": "x"}', '{"most": [1]}', '{"most": 1.5}', '{"idle_days": NaN}',
     '{"kind": "named", "tenants": 5}', '{"tenants": null}', '{"plans": "gold"}', '{"kind": ["rule"]}x'],
)  # fmt: skip
def test_a_rule_with_a_slip_is_refused(many: list[str], rule: str) -> None:
    with pytest.raises(CommandError, match="wave|w:"):
        call_command("portal", "wave", "plan", "w", "--rule", rule, "--unguarded")
    assert not Wave.objects.exists()


@pytest.mark.parametrize("window", [("25:00", "26:00"), ("22:00", "22:00"), ("22:00", ""), ("soon", "later")])
def test_a_window_with_a_slip_is_refused(many: list[str], window: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="two times of a day"):
        call_command("portal", "wave", "plan", "w", "--percent", "25", "--window", *window)


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "2026-99-01T00:00", "soon"])
def test_a_time_that_no_zone_has_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="no time"):
        console.moment(text)


def test_a_move_does_not_take_the_name_of_a_wave_that_would_hold_it(many: list[str]) -> None:
    planned({"kind": "named", "tenants": many[1:2]}, "pilot")
    with pytest.raises(Refusal, match="There is a wave of that name"):
        requests.cut_over(named(many[0]), by="otto", wave="pilot")


def test_a_time_that_has_passed_is_refused(many: list[str]) -> None:
    with pytest.raises(Refusal, match="has passed"):
        planned(starts_at=timezone.now() - timedelta(minutes=5))


def test_trying_again_leaves_alone_who_was_moved_back(many: list[str]) -> None:
    wave = planned({"kind": "named", "tenants": many[:2]})
    waves.start(wave, by="otto")
    work.work()
    waves.tick()
    requests.reverse(named(many[0]), by="otto", reason="went wrong")
    work.work()
    with pytest.raises(Refusal, match="None of its tenants"):
        waves.retry(wave, by="otto")


def test_blocked_and_why_counts_tenants_and_all_of_them(world: World) -> None:
    homes = [
        TenantHome.objects.create(tenant=str(uuid.uuid4()), legacy_tenant=f"x{n}", home="legacy") for n in range(120)
    ]
    wave = Wave.objects.create(name="w", state="running", planned_by="otto")
    wave.tenants.set(homes)
    for why in ("one reason", "another"):
        Cutover.objects.bulk_create(
            Cutover(tenant=tenant, home="iam", wave="w", requested_by="o", state="blocked", error=why)
            for tenant in homes
        )
    assert progress.reasons(progress.blocked(wave)) == [("another", 120)]


def test_the_time_left_forgets_the_night_between(world: World) -> None:
    homes = [
        TenantHome.objects.create(tenant=str(uuid.uuid4()), legacy_tenant=f"x{n}", home="legacy") for n in range(8)
    ]
    wave = Wave.objects.create(name="w", state="running", planned_by="otto")
    wave.tenants.set(homes)
    now = timezone.now()
    for n, ago in enumerate((0, 1, 2, 86400, 86401)):
        Cutover.objects.create(
            tenant=homes[n], home="iam", wave="w", state="done", finished_at=now - timedelta(seconds=ago)
        )
        TenantHome.objects.filter(pk=homes[n].pk).update(home="iam")
    Cutover.objects.bulk_create(Cutover(tenant=tenant, home="iam", wave="w") for tenant in homes[5:])
    assert progress.of(wave).seconds_left == 3


def test_the_list_of_waves_asks_as_often_for_many_as_for_one(world: World, django_assert_max_num_queries: Any) -> None:
    for n in range(40):
        Wave.objects.create(name=f"w{n}", planned_by="otto")
    with django_assert_max_num_queries(3):
        progress.of_each(list(Wave.objects.all()))


def test_the_next_steps_can_be_typed(many: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    planned({"kind": "named", "tenants": many[:1]}, "week 2")
    call_command("portal", "wave", "status", "week 2", "--json")
    assert "manage.py portal wave start 'week 2' --wait" in json.loads(capsys.readouterr().out)["next_steps"]


def test_a_wave_waits_while_a_database_is_away_and_nothing_breaks(
    many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = planned(guarded=True)

    def away(_: Any) -> int:
        raise OperationalError("gone")

    monkeypatch.setattr(Run, "differing", property(away))
    waves.start(wave, by="otto")
    waves.tick()
    wave.refresh_from_db()
    assert (wave.state, "gone" in wave.waits_for) == ("running", True)
