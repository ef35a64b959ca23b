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
from migration_portal.features import ramp, switch
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
    context["may_widen"] = request.user.has_perm("flags.widen_flag")
    context["may_narrow"] = request.user.has_perm("flags.narrow_flag")
    context["form"] = {
        "percentage": flag.percentage.normalize(), "kind": flag.kind, "targets": flag.targets,
        "excluded": flag.excluded, "waves": flag.waves,
    }  # fmt: skip
    subject = Subject(request.GET.get("user", "").strip(), request.GET.get("tenant", "").strip())
    context["subject"] = subject
    try:
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
    flag = get_object_or_404(Flag, name=name)
    back = reverse("feature", args=[name])
    permission = "flags.narrow_flag"

    def do() -> None:
        switch.switch(flag, by=console.by(request), reason=console.reason(request), **values)

    try:
        values = {} if flag.derived else switch.parse(request.POST)
        if request.POST.get("revive") == "yes":
            values["killed"] = False
        permission = switch.needed(flag, values)
    except Refusal as refusal:
        trouble = refusal

        def do() -> None:
            raise trouble

    return console.act(request, permission, do, back=back, done="Changed; it is seen everywhere within five seconds.")


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
    flag = get_object_or_404(Flag, name=name)

    def do() -> None:
        steps, hours = ramp.parse(request.POST)
        ramp.start_ramp(flag, steps=steps, hours=hours, by=console.by(request), reason=console.reason(request))

    done = "The ramp has begun: the first step is taken within a minute, if health is good."
    return console.act(request, "flags.widen_flag", do, back=reverse("feature", args=[name]), done=done)


def stop_ramp(request: HttpRequest, name: str) -> HttpResponse:
    flag = get_object_or_404(Flag, name=name)
    return console.act(
        request,
        "flags.narrow_flag",
        lambda: ramp.stop_ramp(flag, by=console.by(request), reason=console.reason(request)),
        back=reverse("feature", args=[name]),
        done="Stopped: the feature stays as it is.",
    )
