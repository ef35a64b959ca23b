"""The features' pages: a list, and a page to widen, narrow, kill, preview and explain each."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from flags.decide import Subject
from flags.evaluate import explain
from flags.models import Flag
from migration_portal import console
from migration_portal.approvals import acting
from migration_portal.features import approving, ramp, switch
from migration_portal.refusal import Refusal


def features(request: HttpRequest) -> HttpResponse:
    console.need(request, "flags.view_flag")
    flags = Flag.objects.prefetch_related("requires")
    rows: list[tuple[Flag, switch.Reach | None]] = []
    for flag in flags:
        try:
            rows.append((flag, switch.reach(flag)))
        except Refusal:
            rows.append((flag, None))
    return console.page(request, "portal/features/list.html", "Features", rows=rows)


def feature(request: HttpRequest, name: str) -> HttpResponse:
    """One flag. With values in the query string, the page shows what they would change before anything does."""
    console.need(request, "flags.view_flag")
    flag = get_object_or_404(Flag.objects.prefetch_related("requires", "required_by"), name=name)
    context: dict[str, Any] = {"flag": flag, "trouble": "", "changes": flag.changes.all()[:30]}
    context["ramp"] = flag.ramps.first()
    context["may_widen"] = acting.may(request, approving.WIDEN)
    context["asks"] = approving.WIDEN.asks
    context["may_ramp"] = acting.may(request, approving.RAMP)
    context["may_narrow"] = request.user.has_perm("flags.narrow_flag")
    context["form"] = {
        "percentage": flag.percentage.normalize(), "kind": flag.kind, "targets": flag.targets,
        "excluded": flag.excluded, "waves": flag.waves,
    }  # fmt: skip
    subject = Subject(request.GET.get("user", "").strip(), request.GET.get("tenant", "").strip())
    context["subject"] = subject
    try:
        context["limits"] = switch.limits(flag)
        context["now"] = switch.reach(flag)
        if "percentage" in request.GET:
            context["form"] = switch.parse(request.GET)
            context["then"] = switch.reach(flag, **context["form"])
        if subject.user or subject.tenant:
            context["decision"] = explain(name, subject, fresh=True)
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    return console.page(request, "portal/features/feature.html", name, **context)


def change(request: HttpRequest, name: str) -> HttpResponse:
    """Narrowing is done at once; widening may want a second person."""
    get_object_or_404(Flag, name=name)
    back = reverse("feature", args=[name])
    wanted: dict[str, Any] = {"flag": name, "revive": request.POST.get("revive") == "yes"}
    wanted |= {each: request.POST.get(each, "") for each in approving.VALUES}
    try:
        widens = approving.widens(wanted)
    except Refusal as refusal:
        trouble = refusal

        def tell() -> None:
            raise trouble

        return console.act(request, "flags.narrow_flag", tell, back=back, done="")
    if widens:
        return acting.act(request, approving.WIDEN, wanted, subject=name, back=back)
    by, reason = console.by(request), console.reason(request)
    return console.act(
        request, "flags.narrow_flag", lambda: approving.WIDEN.perform(wanted, by, reason), back=back, done=""
    )


def kill(request: HttpRequest, name: str) -> HttpResponse:
    flag = get_object_or_404(Flag, name=name)
    return console.act(
        request,
        "flags.narrow_flag",
        lambda: switch.switch(flag, by=console.by(request), reason=console.reason(request), killed=True),
        back=reverse("feature", args=[name]),
        done="Killed: it is off for everybody within five seconds.",
    )


def start_ramp(request: HttpRequest, name: str) -> HttpResponse:
    get_object_or_404(Flag, name=name)
    wanted = {"flag": name, "steps": request.POST.get("steps", ""), "hours": request.POST.get("hours", "")}
    return acting.act(request, approving.RAMP, wanted, subject=name, back=reverse("feature", args=[name]))


def stop_ramp(request: HttpRequest, name: str) -> HttpResponse:
    flag = get_object_or_404(Flag, name=name)
    return console.act(
        request,
        "flags.narrow_flag",
        lambda: ramp.stop_ramp(flag, by=console.by(request), reason=console.reason(request)),
        back=reverse("feature", args=[name]),
        done="Stopped: the feature stays as it is.",
    )
