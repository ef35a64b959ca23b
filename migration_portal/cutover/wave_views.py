"""The waves' pages: what is planned and under way, planning one with a preview, and one wave as it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from flags.models import TenantHome
from migration_portal import console
from migration_portal.cutover import dry_run, progress, selection, waves
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.cutover.windows import window
from migration_portal.engine.errors import describe
from migration_portal.refusal import Refusal

_VIEW, _PLAN = "cutover.view_wave", "cutover.plan_wave"
_SHOWN = 50
_TRIED = 25
VERBS: dict[str, tuple[Callable[..., Any], str]] = {
    "start": (waves.start, "It begins."), "pause": (waves.pause, "Paused: no further tenant begins to move."),
    "resume": (waves.resume, "It continues."), "stop": (waves.stop, "Stopped. What was moved is moved; the rest is not."),
    "skip": (waves.skip, "Skipped; its tenants are free for other waves."), "promote": (waves.promote, "Promoted."),
    "retry": (waves.retry, "Asked again for the tenants that have not moved."),
}  # fmt: skip


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, _VIEW)
    return console.page(
        request, "portal/waves/board.html", "Waves", may=request.user.has_perm(_PLAN), **_now(),
    )  # fmt: skip


def board_live(request: HttpRequest) -> TemplateResponse:
    console.need(request, _VIEW)
    return TemplateResponse(request, "portal/waves/list.html", _now())


def _now() -> dict[str, Any]:
    shown = list(Wave.objects.all()[:_SHOWN])
    found = progress.of_each(shown)
    return {
        "rows": [(wave, found[wave.pk]) for wave in shown],
        "all": TenantHome.objects.count(), "in_iam": TenantHome.objects.filter(home=TenantHome.Home.IAM).count(),
        "under_way": Cutover.objects.under_way().count(),
    }  # fmt: skip


def plan(request: HttpRequest) -> HttpResponse:
    """The form; posted to, a preview, or with `plan` the wave itself."""
    console.need(request, _PLAN)
    context: dict[str, Any] = {
        "form": request.POST or {"kind": "share", "percent": "25", "at_once": "4", "guarded": "yes"}
    }
    if request.method == "POST":
        try:
            rule = _rule(request)
            if "plan" in request.POST:
                made = waves.plan(request.POST.get("name", ""), rule, by=console.by(request), **_options(request))
                messages.success(request, f"Planned: {made.tenants.count():,} tenants. It begins {_when(made)}.")
                return redirect("wave", made.pk)
            context["preview"] = selection.select(rule)
        except Refusal as refusal:
            messages.error(request, str(refusal))
        except psycopg.Error as error:
            messages.error(request, str(describe(error)))
    with suppress(Refusal, psycopg.Error):  # a hint, and no more
        context["plans"] = selection.plans()
    return console.page(request, "portal/waves/plan.html", "Plan a wave", **context)


def _when(planned: Wave) -> str:
    return (
        f"by itself, {timezone.localtime(planned.starts_at):%Y-%m-%d %H:%M %Z}"
        if planned.starts_at
        else "when you start it"
    )


def wave(request: HttpRequest, pk: int) -> HttpResponse:
    """One, with its tenants; asked for a dry run, with what each of the next ones would meet."""
    console.need(request, _VIEW)
    chosen = get_object_or_404(Wave, pk=pk)
    tried = []
    if request.GET.get("dry_run"):
        left = list(chosen.tenants.filter(home=TenantHome.Home.LEGACY)[:_TRIED])
        try:
            tried = list(dry_run.dry_run(left, TenantHome.Home.IAM))
        except (Refusal, psycopg.Error) as error:
            messages.error(request, str(error if isinstance(error, Refusal) else describe(error)))
    return console.page(
        request, "portal/waves/wave.html", chosen.name, tried=tried, asked=bool(request.GET.get("dry_run")),
        may=request.user.has_perm(_PLAN), tenants=chosen.tenants.all()[:_SHOWN], count=chosen.tenants.count(), **_of(chosen),
    )  # fmt: skip


def wave_live(request: HttpRequest, pk: int) -> TemplateResponse:
    console.need(request, _VIEW)
    return TemplateResponse(request, "portal/waves/live.html", _of(get_object_or_404(Wave, pk=pk)))


def _of(chosen: Wave) -> dict[str, Any]:
    stuck = progress.blocked(chosen)
    return {
        "wave": chosen, "progress": progress.of(chosen), "stuck": stuck[:_SHOWN], "reasons": progress.reasons(stuck),
        "moves": Cutover.objects.filter(wave=chosen.name).select_related("tenant")[:8],
    }  # fmt: skip


def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    chosen = get_object_or_404(Wave, pk=pk)
    do, done = VERBS[verb]

    def call() -> None:
        if verb in ("start", "promote"):
            console.require_typed(request, chosen.name)
        do(chosen, by=console.by(request), reason=console.reason(request))

    return console.act(request, _PLAN, call, back=reverse("wave", args=[pk]), done=done)


def stop_all(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        count = waves.stop_all(by=console.by(request), reason=console.reason(request))
        return f"Moves stopped: {count:,}. Waves that ran are paused."

    return console.act(request, _PLAN, do, back=reverse("cutover"), done="")


def _rule(request: HttpRequest) -> dict[str, Any]:
    kind = request.POST.get("kind", "")
    rule: dict[str, Any] = {"kind": kind}
    if kind == "named":
        return rule | {"tenants": request.POST.get("tenants", "").split()}
    for name in {"share": ["percent"], "new": ["days"]}.get(kind, ["users_from", "users_to", "idle_days", "most"]):
        if request.POST.get(name, "").strip():
            rule[name] = _number(request, name, 0, 10**9)
    if kind == "rule" and (plans := request.POST.get("plans", "").split()):
        rule["plans"] = plans
    for name in ("ids_from", "ids_to"):
        if kind == "rule" and (text := request.POST.get(name, "").strip()):
            rule[name] = text
    return rule


def _options(request: HttpRequest) -> dict[str, Any]:
    """What the form says besides its rule. Raises Refusal."""
    return {
        "reason": console.reason(request),
        "at_once": _number(request, "at_once", 1, 64),
        "starts_at": console.moment(request.POST.get("starts_at", "")),
        "window": window(request.POST.get("opens", ""), request.POST.get("closes", "")),
        "reads_minutes": _number(request, "reads_minutes", 0, waves.LONGEST_READS, default="0"),
        "guarded": request.POST.get("guarded") == "yes",
    }


def _number(request: HttpRequest, name: str, least: int, most: int, default: str = "") -> int:
    found = console.whole(request.POST.get(name, "") or default, least, most)
    if found is None:
        words = name.replace("_", " ")
        raise Refusal(
            f"“{words}” is a whole number from {least:,} to {most:,}.", subject="wave", todo="Nothing was planned."
        )
    return found
