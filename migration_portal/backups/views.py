"""Backups: the board of the three sides, one backup, and what became of a restored one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from migration_portal import console
from migration_portal.approvals import acting
from migration_portal.backups import adopt as adopting
from migration_portal.backups import back_up, check, reconcile, store
from migration_portal.backups import restore as restoring
from migration_portal.backups.approving import SWAP
from migration_portal.backups.models import Backup, Restoration, Side

_MOST = 50


@dataclass(frozen=True)
class Standing:
    """One side at a glance: its last backup, its last validated one, and what is under way."""

    side: str
    label: str
    last: Backup | None
    validated: Backup | None
    running: Backup | None


def board(request: HttpRequest) -> HttpResponse:
    """The three sides, and every backup and restoration there is."""
    console.need(request, "backups.view_backup")
    return console.page(request, "portal/backups/board.html", "Backups", **_now(request))


def live(request: HttpRequest) -> HttpResponse:
    """The part of the board that changes."""
    console.need(request, "backups.view_backup")
    return TemplateResponse(request, "portal/backups/live.html", _now(request))


def _now(request: HttpRequest) -> dict[str, Any]:
    standings = [standing(side) for side in Side.values]
    return {
        "standings": standings,
        "backups": list(Backup.objects.prefetch_related("checks")[:_MOST]),
        "restorations": list(Restoration.objects.select_related("backup")[:_MOST]),
        "sealing": store.sealing(),
        "now": timezone.now(),
        "may_back_up": request.user.has_perm("backups.back_up"),
    }


def standing(side: str) -> Standing:
    mine = Backup.objects.filter(side=side)
    return Standing(
        side, Side(side).label, mine.kept().first(), Backup.objects.validated(side).first(), mine.unfinished().first()
    )


def make(request: HttpRequest) -> HttpResponse:
    side = request.POST.get("side", Side.LEGACY)
    if side not in Side.values:
        return HttpResponse(status=404)
    return console.act(
        request, "backups.back_up", lambda: back_up.back_up(side, by=console.by(request)) and None,
        back=reverse("backups"), done=f"{Side(side).label} is being backed up.",
    )  # fmt: skip


def adopt(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        return f"Found in the store and recorded: {len(adopting.adopt_backups(by=console.by(request)))}."

    return console.act(request, "backups.back_up", do, back=reverse("backups"), done="")


def backup(request: HttpRequest, pk: int) -> HttpResponse:
    """One backup: what is in it, how far it was verified, and what can be done with it."""
    console.need(request, "backups.view_backup")
    found = get_object_or_404(Backup, pk=pk)
    checks = list(found.checks.all())  # type: ignore[attr-defined]
    tables = found.manifest.get("content", {}).get("tables", {})
    context = {
        "backup": found, "checks": checks, "levels": check.LEVELS,
        "tables": [(name, rows) for name, (rows, _) in sorted(tables.items())],
        "files": found.manifest.get("files", []), "paths": found.manifest.get("paths", {}),
        "restorations": list(found.restorations.all()),  # type: ignore[attr-defined]
        "busy": found.finished_at is None or any(each.finished_at is None for each in checks),
        "suggested": f"restored_{found.side}_{found.pk}",
        "may_verify": request.user.has_perm("backups.back_up") and found.state == "done",
        "may_restore": request.user.has_perm("backups.restore_backup") and found.state == "done",
    }  # fmt: skip
    return console.page(request, "portal/backups/backup.html", str(found), **context)


def verify(request: HttpRequest, pk: int) -> HttpResponse:
    found, level = get_object_or_404(Backup, pk=pk), request.POST.get("level", "3")
    if level not in map(str, check.LEVELS):
        return HttpResponse(status=404)
    return console.act(
        request, "backups.back_up", lambda: check.check(found, int(level), by=console.by(request)) and None,
        back=reverse("backup", args=[pk]), done=f"It is being verified up to level {level}.",
    )  # fmt: skip


def restore(request: HttpRequest, pk: int) -> HttpResponse:
    found, into = get_object_or_404(Backup, pk=pk), request.POST.get("into", "").strip()
    made: list[Restoration] = []
    answer = console.act(
        request, "backups.restore_backup",
        lambda: made.append(restoring.restore(found, into=into, by=console.by(request), reason=console.reason(request))),
        back=reverse("backup", args=[pk]), done=f"It is being restored into {into}.",
    )  # fmt: skip
    if made:
        answer["Location"] = reverse("restoration", args=[made[0].pk])
    return answer


def restoration(request: HttpRequest, pk: int) -> HttpResponse:
    """A restored database: compared, to be swapped in; then what was written since the backup, to be decided."""
    console.need(request, "backups.view_backup")
    made = get_object_or_404(Restoration.objects.select_related("backup"), pk=pk)
    asked = made.reconciliations.first()  # type: ignore[attr-defined]
    written = list(made.written.all())  # type: ignore[attr-defined]
    context = {
        "made": made, "about": f"restoration={pk}", "backup": made.backup, "asked": asked, "written": written,
        "undecided": sum(row.decision == "open" for row in written),
        "busy": made.finished_at is None or bool(asked and asked.finished_at is None),
        "may_swap": acting.may(request, SWAP) and made.state == "restored",
        "may_drop": request.user.has_perm("backups.restore_backup") and made.state in ("restored", "failed"),
        "may_decide": request.user.has_perm("backups.reconcile_restoration") and made.state == "swapped",
    }  # fmt: skip
    return console.page(request, "portal/backups/restoration.html", str(made), **context)


def swap(request: HttpRequest, pk: int) -> HttpResponse:
    made = get_object_or_404(Restoration, pk=pk)

    # The portal's own record of it went with the database that was put aside.
    back = reverse("backups") if made.backup.side == Side.PORTAL else reverse("restoration", args=[pk])
    return acting.act(
        request, SWAP, {"restoration": pk}, subject=str(made), back=back,
        confirm=lambda: console.require_typed(request, made.into),
    )  # fmt: skip


def drop(request: HttpRequest, pk: int) -> HttpResponse:
    made = get_object_or_404(Restoration, pk=pk)
    return console.act(
        request, "backups.restore_backup", lambda: restoring.drop(made, by=console.by(request)),
        back=reverse("restoration", args=[pk]), done=f"{made.into} is dropped.",
    )  # fmt: skip


def list_since(request: HttpRequest, pk: int) -> HttpResponse:
    made = get_object_or_404(Restoration, pk=pk)
    return console.act(
        request, "backups.reconcile_restoration", lambda: reconcile.list_since(made, by=console.by(request)) and None,
        back=reverse("restoration", args=[pk]), done="Both databases are being compared.",
    )  # fmt: skip


def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Take or leave what the ticked tenants got since the backup."""
    made, tenants = get_object_or_404(Restoration, pk=pk), request.POST.getlist("tenant")
    by, reason = console.by(request), console.reason(request)
    tenants = list(dict.fromkeys("" if tenant == "-" else tenant for tenant in tenants))

    def do() -> str:
        if request.POST.get("decision") == "leave":
            return f"Left: {reconcile.leave(made, tenants, by=by, reason=reason)} tables."
        removals = request.POST.get("removals") == "yes"
        reconcile.take(made, tenants, removals=removals, by=by, reason=reason)
        return "What they got since the backup is being brought back."

    return console.act(request, "backups.reconcile_restoration", do, back=reverse("restoration", args=[pk]), done="")
