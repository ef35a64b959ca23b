"""The lag over the last while, as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from migration_portal.catchup.models import FlowStatus, LagSample
from migration_portal.console.charts import MOST_POINTS, Chart, Line, over_time

_WINDOW = timedelta(minutes=15)
_STEP = _WINDOW / MOST_POINTS


@dataclass(frozen=True)
class Lag:
    """Entries waiting, by direction; `growing` is whether a backlog has only grown for a minute."""

    chart: Chart
    growing: bool


def lag() -> Lag | None:
    """Of the last minutes, or None before the first sample."""
    since = timezone.now() - _WINDOW
    series = {
        direction: list(
            LagSample.objects.filter(flow=direction.value, at__gt=since).order_by("at").values_list("at", "entries")
        )
        for direction in FlowStatus.Direction
    }
    if not any(series.values()):
        return None
    lines = [Line(str(direction.label), _by_step(since, points)) for direction, points in series.items() if points]
    times = [since + place * _STEP for place in range(MOST_POINTS + 1)]
    chart = over_time("lag", "Lag", "entries", times, lines, form="%H:%M:%S")
    return Lag(chart, any(growing(points) for points in series.values()))


def _by_step(since: datetime, points: Sequence[tuple[datetime, int]]) -> list[float | None]:
    """The most of each step; a step without a sample is a gap."""
    found: list[float | None] = [None] * (MOST_POINTS + 1)
    for at, entries in points:
        place = min(int((at - since) / _STEP), MOST_POINTS)
        found[place] = max(entries, found[place] or 0)
    return found


def growing(points: Sequence[tuple[object, int]]) -> bool:
    """Whether the backlog only grew over the last minute of samples, and is more than a moment's worth."""
    latest = [entries for _, entries in points[-60:]]
    if len(latest) < 30 or latest[-1] < 1000:
        return False
    third = len(latest) // 3
    first, second, last = latest[:third], latest[third : 2 * third], latest[2 * third :]
    return sum(first) / len(first) < sum(second) / len(second) < sum(last) / len(last)
