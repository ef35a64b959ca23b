"""The pages about legacy traffic: usage and latency, live; who answers what; and ignoring a mismatch."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from legacy_compat import versions
from legacy_compat.models import Mismatch
from legacy_compat.standing import IAM, Standing, standings
from legacy_compat.surface import GIVEN_UP, PASSED_ON
from migration_portal import console
from migration_portal.console.charts import as_json
from migration_portal.refusal import Refusal
from migration_portal.traffic import ignore, usage
from migration_portal.traffic.give_up import give_up, take_back


def board(request: HttpRequest) -> HttpResponse:
    """Latency, usage by client and version, and when the old version ends."""
    console.need(request, "legacy_compat.view_legacyrequest")
    return console.page(request, "portal/traffic/board.html", "Legacy endpoints", **_at_a_glance())


def live(request: HttpRequest) -> HttpResponse:
    """What changes by itself on that page."""
    console.need(request, "legacy_compat.view_legacyrequest")
    return console.page(request, "portal/traffic/live.html", "", **_at_a_glance())


def surface(request: HttpRequest) -> HttpResponse:
    """Who answers each endpoint, and what nobody will."""
    console.need(request, "legacy_compat.view_legacyrequest")
    rows = list(standings())
    return console.page(
        request, "portal/traffic/surface.html", "API surface", upstream=settings.LEGACY_UPSTREAM_URL,
        served=[row for row in rows if row.after == IAM],
        accepted=[row for row in rows if row.accepted], blocked=[row for row in rows if row.blocks],
        may=request.user.has_perm("legacy_compat.give_up_endpoint"), **_groups(rows),
    )  # fmt: skip


def _groups(rows: list[Standing]) -> dict[str, list[Standing]]:
    """The endpoints that nobody answers some day: `lost` with a cut-over, `passed` with legacy."""
    return {
        "lost": [row for row in rows if row.endpoint in GIVEN_UP],
        "passed": [row for row in rows if row.endpoint in PASSED_ON],
    }


def give_endpoints_up(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        group = _groups(list(standings())).get(request.POST.get("all", ""), [])
        names = [*request.POST.getlist("endpoint"), *(row.name for row in group if row.open)]
        return f"Accepted: {give_up(names, by=console.by(request), reason=console.reason(request))}."

    return console.act(request, "legacy_compat.give_up_endpoint", do, back=reverse("traffic_surface"), done="")


def take_endpoint_back(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        name = request.POST.get("endpoint", "")
        take_back(name, by=console.by(request), reason=console.reason(request))
        return f"{name} is needed again."

    return console.act(request, "legacy_compat.give_up_endpoint", do, back=reverse("traffic_surface"), done="")


_DAYS = ("0", "1", "7", "30")


def ignore_mismatch(request: HttpRequest, pk: int) -> HttpResponse:
    """Ignore a mismatch for some days, or with 0 open it again."""

    def do() -> str:
        mismatch = get_object_or_404(Mismatch, pk=pk)
        days, by, reason = request.POST.get("days", ""), console.by(request), console.reason(request)
        if days not in _DAYS:
            raise Refusal("Choose for how many days.", subject=str(mismatch), todo="Nothing has changed.")
        if days == "0":
            ignore.reopen(mismatch, by=by, reason=reason)
            return "Open again."
        ignore.ignore(mismatch, days=int(days), by=by, reason=reason)
        return f"Ignored until {mismatch.ignored_until:%Y-%m-%d %H:%M} UTC."

    back = reverse("admin:legacy_compat_mismatch_change", args=[pk])
    return console.act(request, "legacy_compat.ignore_mismatch", do, back=back, done="")


def _at_a_glance() -> dict[str, Any]:
    lines = [
        (title, usage.latency(home))
        for title, home in (("Answered by the IAM", "iam"), ("Passed on to legacy", "legacy"))
    ]
    return {
        "lines": [(title, line) for title, line in lines if line],
        "charts": as_json([line.chart for _, line in lines if line]), "clients": usage.clients(), "minutes": usage.MINUTES,
        "old": versions.OLD, "new": versions.NEW, "sunset": settings.LEGACY_SUNSET,
        "open": sum(mismatch.open for mismatch in Mismatch.objects.all()[:500]),
    }  # fmt: skip
