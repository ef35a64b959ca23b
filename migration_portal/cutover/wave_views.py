"""The waves' pages: what is planned and under way, planning one with a preview, and one wave as it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.dateparse import parse_time

from flags.models import TenantHome
from migration_portal import console
from migration_portal.cutover import dry_run, selection, waves
from migration_portal.cutover.models import Cutover, Wave
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
    return {
        "rows": [(wave, waves.progress(wave)) for wave in Wave.objects.all()[:_SHOWN]],
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
                made = waves.plan(
                    request.POST.get("name", ""), rule, by=console.by(request), reason=console.reason(request),
                    at_once=_number(request, "at_once", 1, 64), starts_at=console.moment(request.POST.get("starts_at", "")),
                    window=_window(request), reads_minutes=_number(request, "reads_minutes", 0, waves.LONGEST_READS),
                    guarded=request.POST.get("guarded") == "yes",
                )  # fmt: skip
                messages.success(request, f"Planned: {made.tenants.count():,} tenants. It begins when you start it.")
                return redirect("wave", made.pk)
            context["preview"] = selection.select(rule)
        except Refusal as refusal:
            messages.error(request, str(refusal))
        except psycopg.Error as error:
            messages.error(request, str(describe(error)))
    return console.page(request, "portal/waves/plan.html", "Plan a wave", **context)


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
    stuck = waves.blocked(chosen)
    return {
        "wave": chosen, "progress": waves.progress(chosen), "stuck": stuck[:_SHOWN], "reasons": waves.reasons(stuck),
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
    for name in ("ids_from", "ids_to"):
        if kind == "rule" and (text := request.POST.get(name, "").strip()):
            rule[name] = text
    return rule


def _number(request: HttpRequest, name: str, least: int, most: int) -> int:
    found = console.whole(request.POST.get(name, ""), least, most)
    if found is None:
        words = name.replace("_", " ")
        raise Refusal(
            f"“{words}” is a whole number from {least:,} to {most:,}.", subject="wave", todo="Nothing was planned."
        )
    return found


def _window(request: HttpRequest) -> Any:
    texts = [request.POST.get(name, "").strip() for name in ("opens", "closes")]
    if not any(texts):
        return None
    try:
        opens, closes = (parse_time(text) for text in texts)
    except ValueError:
        opens = closes = None
    if opens is None or closes is None:
        raise Refusal("A maintenance window has two times of a day.", subject="wave", todo="Write both, or neither.")
    return opens, closes
