"""Ramps: steps by the clock, only while health is good."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from flags.models import Flag, Ramp
from migration_portal.features import ramp
from migration_portal.refusal import Refusal
from tests import builders
from tests.world import World


def flag() -> Flag:
    return Flag.objects.get(name="new_ui_enabled")


def begin(*steps: int, hours: float = 1) -> Ramp:
    return ramp.start_ramp(flag(), steps=[Decimal(s) for s in steps], hours=hours, by="anna", reason="rollout")


def due(made: Ramp) -> None:
    Ramp.objects.filter(pk=made.pk).update(next_at=timezone.now() - timedelta(seconds=1))


def well() -> list[str]:
    return []


def test_steps_are_taken_one_at_a_time_by_the_clock(world: World) -> None:
    made = begin(5, 50, 100)
    assert ramp.tick(well) == 1 and flag().percentage == 5
    assert ramp.tick(well) == 0
    due(made)
    assert ramp.tick(well) == 1 and flag().percentage == 50
    due(made)
    ramp.tick(well)
    made.refresh_from_db()
    assert flag().percentage == 100 and made.state == "done"
    assert flag().changes.first().by == "anna"


def test_a_step_waits_while_health_is_not_good_and_says_why(world: World) -> None:
    made = begin(5)
    assert ramp.tick(lambda: ["Half of everything fails."]) == 0
    made.refresh_from_db()
    assert flag().percentage == 0 and made.held == "Half of everything fails."
    assert ramp.tick(well) == 1


def test_a_killed_feature_is_not_raised(world: World) -> None:
    made = begin(5)
    Flag.objects.filter(pk=flag().pk).update(killed=True)
    assert ramp.tick(well) == 0
    made.refresh_from_db()
    assert made.state == "stopped"
    with pytest.raises(Refusal, match="nothing to raise"):
        begin(50)


def test_what_follows_from_the_migration_is_not_raised(world: World) -> None:
    derived = Flag.objects.get(name="database_migration_complete")
    with pytest.raises(Refusal, match="nothing to raise"):
        ramp.start_ramp(derived, steps=[Decimal(5)], hours=1, by="anna", reason="rollout")


def test_only_one_ramp_at_a_time_and_never_downwards(world: World) -> None:
    begin(5)
    with pytest.raises(Refusal, match="under way"):
        begin(50)
    ramp.stop_ramp(flag(), by="anna", reason="enough")
    Flag.objects.filter(pk=flag().pk).update(percentage=60)
    with pytest.raises(Refusal, match="nothing to raise"):
        begin(50)


@pytest.mark.parametrize("post", [{"steps": "", "hours": "1"}, {"steps": "50 5", "hours": "1"}, {"steps": "x", "hours": "1"},
                                  {"steps": "101", "hours": "1"}, {"steps": "5", "hours": "0"}])  # fmt: skip
def test_steps_that_are_none_are_refused(post: dict[str, str]) -> None:
    with pytest.raises(Refusal):
        ramp.parse(post)


def test_a_ramp_is_the_approvers_to_begin_and_the_operators_to_stop(world: World) -> None:
    builders.member("operator", username="otto")
    builders.member("approver", username="anna")
    form = {"steps": "5, 50", "hours": "2", "reason": "rollout"}
    otto, anna = Client(), Client()
    otto.login(username="otto", password="secret-pass-1")
    anna.login(username="anna", password="secret-pass-1")
    assert otto.post("/admin/features/new_ui_enabled/ramp/", form).status_code == 403
    anna.post("/admin/features/new_ui_enabled/ramp/", form)
    assert b"Stop the ramp" in otto.get("/admin/features/new_ui_enabled/").content
    otto.post("/admin/features/new_ui_enabled/ramp/stop/", {"reason": "no"})
    assert Ramp.objects.get().state == "stopped"


def test_a_step_that_somebody_has_passed_by_hand_lowers_nothing(world: World) -> None:
    made = begin(5, 50)
    Flag.objects.filter(pk=flag().pk).update(percentage=20)
    assert ramp.tick(well) == 1 and flag().percentage == 20
    due(made)
    assert ramp.tick(well) == 1 and flag().percentage == 50


def test_steps_rise_to_a_hundred_at_most() -> None:
    assert ramp.parse({"steps": "0.5, 99 100", "hours": "1440"}) == ([Decimal("0.5"), Decimal(99), Decimal(100)], 1440)
    for steps, hours in (("0 5", "1"), ("5 100.1", "1"), ("5 5", "1"), ("5", "1441"), ("5", "-1")):
        with pytest.raises(Refusal):
            ramp.parse({"steps": steps, "hours": hours})


def test_a_ramp_begins_above_what_is_reached(world: World) -> None:
    assert ramp.parse({"steps": "5", "hours": "0.5"}) == ([Decimal(5)], 0.5)
    Flag.objects.filter(pk=flag().pk).update(percentage=5)
    with pytest.raises(Refusal, match="nothing to raise"):
        begin(5)
    assert begin(5, 50).steps == [Decimal(50)]
