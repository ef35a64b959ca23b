"""Times of the console are the operator's."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest
from django.utils import timezone

from migration_portal.console import moment
from migration_portal.cutover import windows
from migration_portal.runs.models import Run
from tests.console.browsing import browser, words
from tests.world import World

AT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def listed(zone: str) -> str:
    client = browser("viewer")
    client.cookies["zone"] = zone
    return words(client.get("/admin/runs/run/"))


@pytest.fixture
def run(world: World) -> Run:
    return Run.objects.create(plan_name="p", plan_text="", state="completed", started_by="anna", started_at=AT)


@pytest.mark.usefixtures("run")
def test_a_page_shows_times_in_the_zone_of_who_looks() -> None:
    assert "2026-07-02 00:30:00 CEST" in listed("Europe/Stockholm")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("odd", ["", "Europe/Nowhere", "../../../etc/passwd", "/etc/localtime", "x" * 5000])
def test_a_zone_that_is_none_is_the_portals(odd: str) -> None:
    assert "2026-07-01 22:30:00 UTC" in listed(odd)


def test_what_is_typed_without_a_zone_is_the_operators_too() -> None:
    with timezone.override("Asia/Tokyo"):
        assert moment("2026-07-02T07:30") == AT


def test_maintenance_windows_are_by_the_portals_clock_whoever_asks() -> None:
    with timezone.override("Asia/Tokyo"):
        now, there = windows.now(), datetime.now(UTC)
    minutes = abs((now.hour * 60 + now.minute) - (there.hour * 60 + there.minute))
    assert isinstance(now, time) and min(minutes, 1440 - minutes) <= 1
