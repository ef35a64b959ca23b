"""The legacy endpoints at a glance: latency over the last while, who still calls the old version, what differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Max, Sum
from django.utils import timezone

from legacy_compat.models import Usage
from migration_portal.console.charts import Chart, Line, over_time, rounded
from migration_portal.monitoring.windows import by_time, window

MINUTES = 30
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Latency:
    """Of the last MINUTES: the chart by the minute, and all of them together; `p95` in milliseconds."""

    chart: Chart
    calls: int
    failures: int
    p95: float | None


def latency(home: str) -> Latency | None:
    """Of what the home answered; None when nobody has called."""
    since = timezone.now().replace(second=0, microsecond=0) - MINUTES * _MINUTE
    whole = window(since=since, home=home)
    if not whole.calls:
        return None
    minutes = by_time(since=since, step=_MINUTE, home=home)
    times = [since + number * _MINUTE for number in range(MINUTES + 1)]
    lines = [
        Line(label, [rounded(getattr(minutes[at], name)) if at in minutes else None for at in times])
        for label, name in (("median", "p50"), ("95th percentile", "p95"))
    ]
    chart = over_time(f"latency-{home}", "Latency", "ms", times, lines)
    return Latency(chart, whole.calls, whole.failures, whole.p95)


def clients(days: int = 30) -> list[dict[str, Any]]:
    """Who called what in the last days, by client and version: `calls`, `failures`, when last, and its share of all calls."""
    since = timezone.now().date() - timedelta(days=days)
    used = (
        Usage.objects.filter(day__gt=since)
        .values("client", "version")
        .annotate(calls=Sum("calls"), failures=Sum("failures"), last=Max("last_at"))
        .order_by("-calls")[:100]
    )
    rows: list[dict[str, Any]] = [dict(row) for row in used]
    everything = sum(row["calls"] for row in rows) or 1
    return [row | {"share": row["calls"] / everything} for row in rows]
