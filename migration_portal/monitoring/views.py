"""Health at a glance: parts and their heartbeats, alerts, latency and failures by home and endpoint, hosts and databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from flags.models import TenantHome
from migration_portal import console
from migration_portal.console.charts import Chart, Line, as_json, over_time, rounded
from migration_portal.engine.errors import describe
from migration_portal.monitoring import alerts as alerting
from migration_portal.monitoring.baseline import last_baseline
from migration_portal.monitoring.models import Alert, Sample
from migration_portal.monitoring.parts import parts
from migration_portal.monitoring.sample import SIDES, slow_statements
from migration_portal.monitoring.windows import Window, by_endpoint, by_time, window
from migration_portal.refusal import Refusal

_SPANS = {"1h": (timedelta(hours=1), timedelta(minutes=1)), "6h": (timedelta(hours=6), timedelta(minutes=5)),
          "24h": (timedelta(days=1), timedelta(minutes=15)), "7d": (timedelta(days=7), timedelta(hours=2))}  # fmt: skip
_MOST = 40
_SILENCES = (1, 8, 24)


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "monitoring.view_minute")
    return console.page(request, "portal/monitoring/board.html", "Health", **_now(request))


def live(request: HttpRequest) -> HttpResponse:
    """The part of the page that changes."""
    console.need(request, "monitoring.view_minute")
    return console.page(request, "portal/monitoring/live.html", "", **_now(request))


def statements(request: HttpRequest) -> HttpResponse:
    """What took each database the most time."""
    console.need(request, "monitoring.view_minute")
    return console.page(
        request, "portal/monitoring/statements.html", "Slow statements",
        sides=[(_SOURCES[side], *_statements(side)) for side in SIDES],
    )  # fmt: skip


def _statements(side: str) -> tuple[list[dict[str, Any]] | None, str]:
    """None where nobody counts them; and what is wrong."""
    try:
        return slow_statements(side), ""
    except Refusal as refusal:
        return [], str(refusal)
    except psycopg.Error as error:
        return [], str(describe(error))


def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    alert = get_object_or_404(Alert, pk=pk)
    return console.act(
        request, "monitoring.acknowledge_alert", lambda: alerting.acknowledge(alert, by=console.by(request)),
        back=reverse("health"), done="Acknowledged.",
    )  # fmt: skip


def silence(request: HttpRequest, pk: int) -> HttpResponse:
    alert, hours = get_object_or_404(Alert, pk=pk), request.POST.get("hours", "")

    def do() -> None:
        if hours not in map(str, _SILENCES):
            raise Refusal("Choose for how long.", subject=str(alert), todo="Nothing has changed.")
        alerting.silence(alert, hours=int(hours), by=console.by(request), reason=console.reason(request))

    return console.act(
        request, "monitoring.acknowledge_alert", do, back=reverse("health"), done=f"Silent for {hours} h."
    )


def _now(request: HttpRequest) -> dict[str, Any]:
    span = request.GET.get("span", "1h")
    length, step = _SPANS.get(span, _SPANS["1h"])
    since = timezone.now() - length
    drawn = _charts(since, step)
    homes = {str(home): window(since=since, home=str(home)) for home in TenantHome.Home}
    return {
        "span": span if span in _SPANS else "1h", "spans": list(_SPANS), "parts": parts(),
        "alerts": list(Alert.objects.open()), "past": list(Alert.objects.exclude(resolved_at=None)[:10]),
        "homes": homes, "any": any(each.calls for each in homes.values()),
        "endpoints": [
            (home, name, each) for home in homes for name, each in by_endpoint(since=since, home=home).items()
        ][:_MOST],
        "baseline": last_baseline(), "drawn": drawn, "charts": as_json(drawn), "samples": _samples(),
        "silences": _SILENCES, "may": request.user.has_perm("monitoring.acknowledge_alert"),
    }  # fmt: skip


def _charts(since: datetime, step: timedelta) -> list[Chart]:
    by_home = {str(home): by_time(since=since, step=step, home=str(home)) for home in TenantHome.Home}
    times = _steps({at for series in by_home.values() for at in series}, step)
    seconds = step.total_seconds()
    figures: tuple[tuple[str, str, str, Callable[[Window], float | None]], ...] = (
        ("p95", "Latency, 95th percentile", "ms", lambda each: rounded(each.p95)),
        ("errors", "Failures", "% of requests", lambda each: round(100 * each.error_rate, 2)),
        ("throughput", "Throughput", "requests/s", lambda each: round(each.calls / seconds, 2)),
    )
    return [
        over_time(id, title, unit, times, [
            Line(home, [of(series[at]) if at in series else None for at in times])
            for home, series in by_home.items() if series
        ], form="%m-%d %H:%M")
        for id, title, unit, of in figures
    ]  # fmt: skip


def _steps(there: set[datetime], step: timedelta) -> list[datetime]:
    """Every step from the first with calls to the last: a gap is a gap in the chart, too."""
    if not there:
        return []
    first, last = min(there), max(there)
    return [first + n * step for n in range(int((last - first) / step) + 1)]


_SOURCES = {"legacy": "Legacy database", "iam": "IAM database", "portal": "Portal database", "redis": "Redis"}
_UNITS = {"_percent": ", %", "_s": ", s"}


def _titled(name: str) -> str:
    """longest_transaction_s → longest transaction, s."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            name = name.removesuffix(ending) + unit
    return name.replace("_", " ")


def _samples() -> list[tuple[str, dict[str, float]]]:
    """The last figures of each source."""
    found: dict[str, dict[str, float]] = {}
    lately = Sample.objects.filter(at__gt=timezone.now() - timedelta(minutes=5)).order_by("at")
    for sample in lately:
        found.setdefault(_SOURCES.get(sample.source, sample.source), {})[_titled(sample.name)] = sample.value
    return sorted(found.items())
