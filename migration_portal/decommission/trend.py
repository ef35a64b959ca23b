"""When the last tenant will have moved, if it goes on as it went lately."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils import timezone

from flags.models import TenantHome
from migration_portal.console.charts import Chart, Line
from migration_portal.cutover.models import Cutover

DAYS = 28
_FORTNIGHT, _WEEK = 14, 7
_FAR = 3650


@dataclass(frozen=True)
class Trend:
    """Tenants in legacy at the end of each of the last days, tenants moved a day, and the day of the last one; None where
    nobody can tell."""

    chart: Chart
    a_day: float
    ends: date | None
    all_moved: bool = False


def trend(today: date | None = None) -> Trend:
    """From the moves on record: what came back counts as not moved."""
    today = today or timezone.localdate()
    days = [today - timedelta(days=DAYS - 1 - n) for n in range(DAYS)]
    changes: dict[date, int] = {}
    made = Cutover.objects.filter(state=Cutover.State.DONE, finished_at__isnull=False)
    for home, at in made.values_list("home", "finished_at"):
        if at is not None:
            day = timezone.localdate(at)
            changes[day] = changes.get(day, 0) + (-1 if home == TenantHome.Home.IAM else 1)
    left, ends = TenantHome.objects.filter(home=TenantHome.Home.LEGACY).count(), []
    for day in reversed(days):
        ends.append(left)
        left -= changes.get(day, 0)
    ends.reverse()
    all_moved = ends[-1] == 0 and TenantHome.objects.exists()
    return Trend(_chart(days, ends), *_forecast(today, days, ends), all_moved=all_moved)


def _chart(days: list[date], ends: list[int]) -> Chart:
    return Chart(
        "decommission",
        "Tenants at home in legacy",
        "tenants",
        [f"{day:%m-%d}" for day in days],
        [Line("tenants", ends)],
    )


def _forecast(today: date, days: list[date], ends: list[int]) -> tuple[float, date | None]:
    """The slope of the least-squares line through the last days; no date where fewer have not come to live there lately."""
    if ends[-1] == 0:
        last = next((n for n in reversed(range(len(ends))) if ends[n]), None)
        return 0.0, days[last + 1] if last is not None else None
    slope, lately = _slope(ends[-_FORTNIGHT:]), _slope(ends[-_WEEK:])
    if slope >= 0 or lately >= 0:
        return -slope, None
    needed = math.ceil(ends[-1] / -slope)
    return -slope, today + timedelta(days=needed) if needed < _FAR else None


def _slope(points: Sequence[int]) -> float:
    """A day, since the first move among them."""
    first = next((n for n in range(1, len(points)) if points[n] != points[0]), None)
    if first is None:
        return 0.0
    points = points[first - 1 :]
    middle, mean = (len(points) - 1) / 2, sum(points) / len(points)
    over = sum((n - middle) ** 2 for n in range(len(points)))
    return sum((n - middle) * (value - mean) for n, value in enumerate(points)) / over
