"""Charts by time: in the reader's zone, and in UTC for who points at a figure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

from migration_portal.console.charts import Line, over_time
from migration_portal.templatetags import portal

AT = datetime(2026, 11, 28, 23, 30, 5, tzinfo=UTC)


def test_a_chart_over_time_says_its_moments_in_both_zones() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        chart = over_time("lag", "Lag", "entries", [AT], [Line("forward", [1])], form="%H:%M:%S")
    assert list(chart.labels) == ["00:30:05"] and list(chart.whole) == ["2026-11-29 00:30:05 CET · 23:30:05 UTC"]


def test_a_chart_of_gaps_alone_is_empty() -> None:
    assert over_time("lag", "Lag", "entries", [AT], [Line("forward", [None]), Line("reverse", [None])]).empty
    assert not over_time("lag", "Lag", "entries", [AT], [Line("forward", [0])]).empty


def test_a_day_and_a_time_of_day_are_the_readers_with_utc_behind_them() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        day, clock = portal.day(AT), portal.clock(AT)
    assert ">2026-11-29</time>" in day and ">00:30:05 CET</time>" in clock
    assert all('title="2026-11-28 23:30:05 UTC"' in written for written in (day, clock))
    assert portal.day(None) == ""
