"""Rehearsals: what there was, one as it goes, its forecast, and what really happened."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from migration_portal import console
from migration_portal.backups.models import Backup, Side
from migration_portal.refusal import Refusal
from migration_portal.rehearsal import rehearse as rehearsing
from migration_portal.rehearsal.compare import compared, run_after
from migration_portal.rehearsal.forecast import forecast
from migration_portal.rehearsal.models import Rehearsal

_MOST = 50


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "rehearsal.view_rehearsal")
    made = list(Rehearsal.objects.select_related("backup")[:_MOST])
    rows = [(one, forecast(one.measured, one.production) if one.state == "done" else None) for one in made]
    return console.page(
        request, "portal/rehearsal/board.html", "Rehearsal", rows=rows, tenants=rehearsing.TENANTS,
        backup=Backup.objects.validated(Side.LEGACY).first(), busy=Rehearsal.objects.unfinished().exists(),
        may=request.user.has_perm("rehearsal.rehearse"),
    )  # fmt: skip


def rehearse(request: HttpRequest) -> HttpResponse:
    made: list[Rehearsal] = []

    def do() -> None:
        typed = request.POST.get("tenants", "")
        tenants = console.whole(typed, 0, 10**6)
        if tenants is None:
            raise Refusal("That is no number of tenants.", subject=typed[:20], todo="Nothing was begun.")
        made.append(rehearsing.rehearse(by=console.by(request), reason=console.reason(request), tenants=tenants))

    answer = console.act(request, "rehearsal.rehearse", do, back=reverse("rehearsals"), done="The rehearsal begins.")
    if made:
        answer["Location"] = reverse("rehearsal", args=[made[0].pk])
    return answer


def rehearsal(request: HttpRequest, pk: int) -> HttpResponse:
    """One: live while it goes, then what it says about production; beside the run that came after it, where there is one."""
    console.need(request, "rehearsal.view_rehearsal")
    made = get_object_or_404(Rehearsal.objects.select_related("backup"), pk=pk)
    context: dict[str, Any] = {"made": made, "forecast": None, "trouble": ""}
    if made.state == "done":
        context["forecast"] = found = forecast(made.measured, made.production)
        context["passed"], context["run"] = made.measured["passed"], run_after(made)
        try:
            context["compared"] = compared(made, found)
        except Refusal as refusal:
            context["trouble"] = str(refusal)
    return console.page(request, "portal/rehearsal/rehearsal.html", str(made), **context)
