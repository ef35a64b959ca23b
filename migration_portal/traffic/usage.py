"""The legacy endpoints at a glance: latency over the last while, who still calls the old version, what differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import Max, Sum
from django.utils import timezone

from legacy_compat.models import Usage
from migration_portal.engine.queries import named

WIDTH, HEIGHT, MINUTES = 600, 120, 30
_QUERIES = named(Path(__file__).parent / "traffic.sql")


@dataclass(frozen=True)
class Latency:
    """Paths of the median and of the 95th percentile in a WIDTH x HEIGHT box; `top` is its upper edge in milliseconds."""

    median: str
    p95: str
    top: float
    calls: int
    failures: int
    now: float


def latency(home: str = "") -> Latency | None:
    """Of the last MINUTES, by quarter minutes; None when nobody has called."""
    since = timezone.now() - timedelta(minutes=MINUTES)
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES["latency"].as_string(), {"since": since, "home": home})
        rows = cursor.fetchall()
    if not rows:
        return None
    top = max(row[1][1] for row in rows) or 1.0

    def path(number: int) -> str:
        places = (
            f"{seconds / (60 * MINUTES) * WIDTH:.1f},{HEIGHT - 2 - quantiles[number] / top * (HEIGHT - 10):.1f}"
            for seconds, quantiles, _, _ in rows
        )
        return "M" + " L".join(places)

    return Latency(path(0), path(1), top, sum(r[2] for r in rows), sum(r[3] for r in rows), rows[-1][1][1])


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
