"""The lag over the last while, one SVG path a direction: it can be replaced every second without a flicker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from migration_portal.catchup.models import FlowStatus, LagSample

WIDTH, HEIGHT = 600, 120
_WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class LagChart:
    """`lines` maps a direction to its path in a WIDTH x HEIGHT box; `top` is the entries at its upper edge."""

    lines: dict[str, str]
    top: int
    minutes: int
    growing: bool


def lag_chart() -> LagChart | None:
    """Entries waiting in the last minutes, or None before the first sample."""
    since = timezone.now() - _WINDOW
    series = {
        direction: list(
            LagSample.objects.filter(flow=direction, at__gt=since).order_by("at").values_list("at", "entries")
        )
        for direction in FlowStatus.Direction.values
    }
    if not any(series.values()):
        return None
    top = max((entries for points in series.values() for _, entries in points), default=0)
    lines = {}
    for direction, points in series.items():
        if points:
            lines[direction] = "M" + " L".join(
                f"{(at - since) / _WINDOW * WIDTH:.1f},{HEIGHT - 2 - entries / max(top, 1) * (HEIGHT - 10):.1f}"
                for at, entries in points[:: max(1, len(points) // 300)]
            )
    return LagChart(lines, top, int(_WINDOW.total_seconds() // 60), any(growing(points) for points in series.values()))


def growing(points: Sequence[tuple[object, int]]) -> bool:
    """Whether the backlog only grew over the last minute of samples, and is more than a moment's worth."""
    latest = [entries for _, entries in points[-60:]]
    if len(latest) < 30 or latest[-1] < 1000:
        return False
    third = len(latest) // 3
    first, second, last = latest[:third], latest[third : 2 * third], latest[2 * third :]
    return sum(first) / len(first) < sum(second) / len(second) < sum(last) / len(last)
