"""What of the audit log is here, what holds it, and what was archived."""

from __future__ import annotations

from datetime import date

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.dateparse import parse_date

from migration_portal import console
from migration_portal.approvals import acting
from migration_portal.audit.models import Archive
from migration_portal.refusal import Refusal
from migration_portal.retention import archiving, holding
from migration_portal.retention.approving import RELEASE
from migration_portal.retention.models import Hold


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, "audit.view_event")
    limit, kept = archiving.limit(), archiving.kept()
    holds = Hold.objects.all()
    archived = [
        (archive, [hold for hold in holds.standing() if hold.covers(archive.since, archive.until)])
        for archive in Archive.objects.order_by("-first")
    ]
    return console.page(
        request, "portal/retention/board.html", "Audit retention", kept=list(reversed(kept)), archived=archived,
        holds=holds, limit=limit, months=settings.AUDIT_RETENTION_MONTHS, place=settings.AUDIT_ANCHORS,
        due=[each for each in kept if limit and each.due(limit)], may_place=request.user.has_perm("retention.place_hold"),
        may_release=acting.may(request, RELEASE), asks=RELEASE.asks,
    )  # fmt: skip


def place(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        since, until = _day(request, "since"), _day(request, "until")
        if since is None:
            raise Refusal("A hold needs its first day.", todo="Choose one.")
        hold = holding.place(
            request.POST.get("matter", ""), since, until, by=console.by(request), reason=console.reason(request)
        )
        return f"Placed: {hold}."

    return console.act(request, "retention.place_hold", do, back=reverse("retention"), done="")


def release(request: HttpRequest, pk: int) -> HttpResponse:
    hold = get_object_or_404(Hold, pk=pk)
    return acting.act(request, RELEASE, {"hold": pk}, subject=str(hold), back=f"{reverse('retention')}?hold={pk}")


def _day(request: HttpRequest, name: str) -> date | None:
    """The day in the form's field; None for none. Raises Refusal."""
    text = request.POST.get(name, "").strip()
    try:
        found = parse_date(text)
    except ValueError:
        found = None
    if text and found is None:
        raise Refusal("That is no day.", subject=text[:30], todo="Write it as 2026-12-01.")
    return found
