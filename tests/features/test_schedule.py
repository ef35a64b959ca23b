"""Changes at a given time: made if the feature is still what it was, and if that is well."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from flags.models import ScheduledChange
from migration_portal.audit.models import Event
from migration_portal.features import ramp, schedule, switch
from migration_portal.monitoring.models import Alert
from migration_portal.refusal import Refusal
from migration_portal.rollback import moving
from tests.features.switching import flag
from tests.world import World

WIDER = {"percentage": Decimal(50)}


def well() -> list[str]:
    return []


def ill() -> list[str]:
    return ["Half of everything fails."]


def tomorrow() -> datetime:
    return timezone.now() + timedelta(days=1)


def planned(values: dict[str, Any] = WIDER) -> ScheduledChange:
    return schedule.plan(flag(), values, at=tomorrow(), by="anna", reason="after the pilot")


def due(change: ScheduledChange, ago: timedelta = timedelta(seconds=1)) -> ScheduledChange:
    ScheduledChange.objects.filter(pk=change.pk).update(at=timezone.now() - ago)
    return change


def end(change: ScheduledChange) -> tuple[str, str]:
    change.refresh_from_db()
    return change.state, change.held


def test_it_is_made_when_its_time_has_come(world: World) -> None:
    change = planned()
    assert schedule.tick(well) == 0 and flag().percentage == 0
    due(change)
    assert schedule.tick(well) == 1 and flag().percentage == 50
    assert end(change) == ("made", "")
    assert (flag().changes.get().by, flag().changes.get().reason) == ("anna", "scheduled: after the pilot")
    assert schedule.tick(well) == 0


def test_only_what_differs_is_set(world: World) -> None:
    switch.switch(flag(), by="t", reason="t", waves=["first"])
    change = planned(WIDER | {"waves": ["first"], "kind": "user"})
    assert change.values == {"percentage": Decimal(50)}


def test_several_are_made_in_the_order_of_their_times(world: World) -> None:
    later, sooner = planned({"percentage": Decimal(30)}), planned({"percentage": Decimal(10)})
    due(later), due(sooner, timedelta(minutes=5))
    assert schedule.tick(well) == 2
    assert [change.after["percentage"] for change in flag().changes.order_by("pk")] == ["10", "30"]


def test_a_change_by_hand_takes_its_place(world: World) -> None:
    change = planned()
    switch.switch(flag(), by="otto", reason="an incident", targets=["user:u1"])
    assert schedule.tick(well) == 0
    due(change)
    assert schedule.tick(well) == 0 and flag().percentage == 0
    assert end(change) == ("missed", "otto changed the feature since it was scheduled: an incident")
    assert Event.objects.latest("id").verb == "miss_scheduled_change"
    assert "was not made: percentage → 50" in Alert.objects.get().what


def test_what_nobody_agreed_to_widen_does_not_widen(world: World) -> None:
    switch.switch(flag(), by="t", reason="t", percentage=20)
    lower, less_low = planned({"percentage": Decimal(5)}), planned({"percentage": Decimal(10)})
    assert not less_low.widens
    due(lower, timedelta(minutes=5)), due(less_low)
    assert schedule.tick(well) == 1 and flag().percentage == 5
    assert end(less_low) == ("missed", "By now it would reach more people, and nobody agreed to that.")


def test_widening_waits_an_hour_for_good_health(world: World) -> None:
    change = due(planned())
    assert schedule.tick(ill) == 0
    assert end(change) == ("waiting", "Half of everything fails.")
    due(change, schedule.PATIENCE + timedelta(seconds=1))
    assert schedule.tick(ill) == 0
    assert end(change) == ("missed", "Half of everything fails.")


def test_narrowing_waits_for_nothing(world: World) -> None:
    switch.switch(flag(), by="t", reason="t", percentage=20)
    due(planned({"percentage": Decimal(0)}), timedelta(days=2))
    assert schedule.tick(ill) == 1 and flag().percentage == 0


@pytest.mark.parametrize(
    "values, at, message",
    [
        ({"percentage": Decimal(0)}, timedelta(days=1), "nothing to change"),
        (WIDER, timedelta(minutes=-1), "past"),
        (WIDER, timedelta(days=400), "year"),
        ({"targets": ["ann@example.com"]}, timedelta(days=1), "not a subject"),
        ({"percentage": Decimal(101)}, timedelta(days=1), "not a percentage"),
    ],
)
def test_what_cannot_be_scheduled(world: World, values: dict[str, Any], at: timedelta, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        schedule.plan(flag(), values, at=timezone.now() + at, by="anna", reason="why not")


def test_not_beside_a_ramp(world: World) -> None:
    ramp.start_ramp(flag(), steps=[Decimal(5)], hours=1, by="anna", reason="rollout")
    with pytest.raises(Refusal, match="ramp is under way"):
        planned()


def test_a_cancelled_one_is_not_made(world: World) -> None:
    change = planned()
    schedule.cancel(change, by="otto", reason="not yet")
    due(change)
    assert schedule.tick(well) == 0 and flag().percentage == 0
    with pytest.raises(Refusal, match="does not wait"):
        schedule.cancel(change, by="otto", reason="not yet")
    assert list(Event.objects.order_by("id").values_list("verb", flat=True)) == [
        "schedule_change", "cancel_scheduled_change",
    ]  # fmt: skip


def test_a_roll_back_knows_what_is_about_to_widen(world: World) -> None:
    planned()
    switch.switch(flag("rbac_enabled"), by="t", reason="t", percentage=20)
    schedule.plan(flag("rbac_enabled"), {"percentage": Decimal(5)}, at=tomorrow(), by="anna", reason="fewer")
    assert moving.growing() == ["new_ui_enabled"]
