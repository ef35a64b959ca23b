"""Rolling back: the ladder, one roll-back as it goes, and the doors."""

from __future__ import annotations

from itertools import groupby

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from flags import maintenance
from flags.models import Flag
from migration_portal import console
from migration_portal.approvals.decide import another
from migration_portal.backups.models import Backup, Side
from migration_portal.cutover.scope import everybody, waves
from migration_portal.refusal import Refusal
from migration_portal.rollback import doors as closing
from migration_portal.rollback import execute
from migration_portal.rollback.log import log_of
from migration_portal.rollback.models import Judgement, RollBack, Step
from migration_portal.rollback.plans import MEANINGS, PHASES, Kind

_TYPED = (Kind.DATABASE, Kind.FULL)
"""What is confirmed by typing its name: it removes, or restores."""
_AGREES = "rollback.approve_roll_back"
_MOST = 50
_MOST_ID = 2**31


def board(request: HttpRequest) -> HttpResponse:
    """What can be rolled back how far, and what was."""
    console.need(request, "rollback.view_rollback")
    ladder = [(kind, MEANINGS[kind], kind in _TYPED) for kind in Kind]
    everyone = everybody()
    validated = Backup.objects.kept().filter(level=Backup.VALIDATED).exclude(side=Side.PORTAL)
    return console.page(
        request, "portal/rollback/board.html", "Roll-back", ladder=ladder, waves=waves(), everybody=everyone,
        features=list(Flag.objects.filter(killed=False, derived=False)), backups=list(validated[:_MOST]),
        under_way=RollBack.objects.under_way().first(), made=list(RollBack.objects.all()[:_MOST]),
        closed=maintenance.current(), acts=settings.ROLLBACK_MODE == "act",
        verdict=Judgement.objects.first() if everyone.tenants else None,
        may_start=request.user.has_perm("rollback.start_roll_back"),
        may_approve=request.user.has_perm("rollback.approve_roll_back"),
        may_close=request.user.has_perm("flags.close_doors"),
    )  # fmt: skip


def start(request: HttpRequest) -> HttpResponse:
    """Start one, or rehearse it. What restores or removes takes an approver, and its name typed."""
    kind, rehearsal = request.POST.get("kind", ""), request.POST.get("rehearsal") == "yes"
    if kind not in list(Kind):
        return HttpResponse(status=404)
    made: list[RollBack] = []

    def do() -> None:
        if kind in _TYPED and not rehearsal:
            console.require_typed(request, kind)
        backup = console.whole(request.POST.get("backup", ""), 1, _MOST_ID)
        made.append(
            execute.start(
                Kind(kind), by=console.by(request), reason=console.reason(request), wave=request.POST.get("wave", ""),
                features=request.POST.getlist("feature"), rehearsal=rehearsal,
                backup=Backup.objects.filter(pk=backup).first() if backup else None,
            )
        )  # fmt: skip

    needed = "approve" if kind in _TYPED and not rehearsal else "start"
    answer = console.act(
        request, f"rollback.{needed}_roll_back", do, back=reverse("rollback"),
        done="It is rehearsed." if rehearsal else "It is under way.",
    )  # fmt: skip
    if made:
        answer["Location"] = reverse("roll_back", args=[made[0].pk])
    return answer


def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """One, phase by phase, as it goes."""
    console.need(request, "rollback.view_rollback")
    made = get_object_or_404(RollBack.objects.select_related("backup"), pk=pk)
    steps = list(made.steps.all())  # type: ignore[attr-defined]
    by_phase = {phase: list(those) for phase, those in groupby(steps, key=lambda step: step.phase)}
    phases = [(number, title, by_phase.get(phase, [])) for number, (phase, title) in enumerate(PHASES.items(), start=1)]
    ended = sum(step.state in Step.ENDED for step in steps)
    restoring = next((step for step in steps if step.action == "restore_backup" and step.data.get("restoration")), None)
    return console.page(
        request, "portal/rollback/roll_back.html", str(made), made=made, phases=phases, log=log_of(made), ended=ended,
        steps=len(steps), current=made.step, closed=maintenance.current(),
        restoration=restoring.data["restoration"] if restoring and not made.rehearsal else None,
        may_stop=request.user.has_perm("rollback.start_roll_back") and made.ended_at is None,
        may_approve=request.user.has_perm("rollback.approve_roll_back") and made.ended_at is None,
        may_note=request.user.has_perm("rollback.start_roll_back"),
    )  # fmt: skip


def decide(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Approve, retry or skip a step."""
    step, by, reason = get_object_or_404(Step, pk=pk), console.by(request), console.reason(request)

    def approve() -> None:
        if "roll_back" in settings.APPROVALS and not step.of.rehearsal and by == step.of.requested_by:
            raise Refusal("You began it yourself.", subject=str(step.of), todo=another(_AGREES, but=by))
        execute.approve(step, by=by, reason=reason)

    verbs = {
        "approve": approve,
        "retry": lambda: execute.retry(step, by=by),
        "skip": lambda: execute.skip(step, by=by, reason=reason),
    }
    if verb not in verbs:
        return HttpResponse(status=404)
    permission = "rollback.start_roll_back" if verb == "retry" else "rollback.approve_roll_back"
    back = reverse("roll_back", args=[step.of_id])
    return console.act(request, permission, verbs[verb], back=back, done=f"{step}: {verb}.")


def stop(request: HttpRequest, pk: int) -> HttpResponse:
    made = get_object_or_404(RollBack, pk=pk)
    return console.act(
        request, "rollback.start_roll_back",
        lambda: execute.stop(made, by=console.by(request), reason=console.reason(request)),
        back=reverse("roll_back", args=[pk]), done="Stopped. What was done stays done.",
    )  # fmt: skip


def note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add to the log's notes."""
    made = get_object_or_404(RollBack, pk=pk)
    return console.act(
        request, "rollback.start_roll_back",
        lambda: execute.note(made, request.POST.get("note", "").strip(), by=console.by(request)),
        back=reverse("roll_back", args=[pk]), done="Noted.",
    )  # fmt: skip


def doors(request: HttpRequest) -> HttpResponse:
    """Close them, or open them."""
    by, reason = console.by(request), console.reason(request)

    def do() -> str:
        if request.POST.get("doors") == "open":
            closing.open_doors(by=by, reason=reason)
            return "The doors are open."
        typed = request.POST.get("minutes", "").strip()
        minutes = console.whole(typed, 0, _MOST_ID)
        if typed and minutes is None:
            raise Refusal("That is no number of minutes.", subject=typed[:20], todo="Use 1 to 1440, or leave it empty.")
        closing.close_doors(by=by, reason=reason, minutes=minutes)
        return "The doors are closed: writes are answered with 503 and Retry-After."

    return console.act(request, "flags.close_doors", do, back=reverse("rollback"), done="")
