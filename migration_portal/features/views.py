"""The features' pages: a list, and a page to widen, narrow, kill, preview and explain each."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from flags.decide import Subject
from flags.evaluate import explain
from flags.models import Flag, ScheduledChange
from migration_portal import console, databases
from migration_portal.approvals import acting
from migration_portal.audit import chain
from migration_portal.features import approving, ramp, schedule, subjects, switch
from migration_portal.refusal import Refusal

PEOPLE = "migration_portal.view_person"


def features(request: HttpRequest) -> HttpResponse:
    console.need(request, "flags.view_flag")
    counts: dict[str, switch.Reach] = {}
    trouble = ""
    if console.counting(request):
        try:
            counts = switch.reach_of_all()
        except Refusal as refusal:
            trouble = str(refusal)
    flags = Flag.objects.prefetch_related("requires")
    return console.page(
        request, "portal/features/list.html", "Features", flags=flags, counts=counts, trouble=trouble,
        counted=console.counting(request), may_create=request.user.has_perm("flags.widen_flag"),
    )  # fmt: skip


def create(request: HttpRequest) -> HttpResponse:
    post, made = request.POST, list[Flag]()

    def do() -> str:
        requires, note = post.getlist("requires"), post.get("note", "")
        made.append(
            switch.create(
                post.get("name", ""),
                note=note,
                requires=requires,
                by=console.by(request),
                reason=console.reason(request),
            )
        )
        return "Made. It is on for nobody until somebody widens it."

    answer = console.act(request, "flags.widen_flag", do, back=reverse("features"), done="")
    if made:
        answer["Location"] = reverse("feature", args=[made[0].name])
    return answer


def find_subjects(request: HttpRequest) -> HttpResponse:
    """Tenants, and people for who may look at them, by name: whom a feature's lists may hold. A search for people is on record."""
    console.need(request, "flags.narrow_flag")
    words, people = request.GET.get("q", "").strip(), request.user.has_perm(PEOPLE)
    found = subjects.find(words, people=people)
    if words and people:
        chain.record(
            "search_people", object_type="user", by=console.by(request), reason=words[:200], data={"count": len(found)}
        )
    return render(request, "portal/features/found.html", {"found": found, "words": words, "people": people})


def feature(request: HttpRequest, name: str) -> HttpResponse:
    """One flag. With values in the query string, the page shows what they would change before anything does."""
    console.need(request, "flags.view_flag")
    flag = get_object_or_404(Flag.objects.prefetch_related("requires", "required_by"), name=name)
    context: dict[str, Any] = {"flag": flag, "trouble": "", "changes": flag.changes.all()[:30]}
    context["ramp"] = flag.ramps.first()
    context["scheduled"] = flag.scheduled.filter(state=ScheduledChange.State.WAITING).order_by("at", "pk")
    context["missed"] = flag.scheduled.filter(state=ScheduledChange.State.MISSED).first()
    context["may_widen"] = acting.may(request, approving.WIDEN)
    context["may_see_people"] = request.user.has_perm(PEOPLE)
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
        if "percentage" in request.GET:
            context["form"] = switch.parse(request.GET)
            context["preview"] = True
        listed = (*context["form"]["targets"], *context["form"]["excluded"])
        context["names"] = subjects.names(listed, people=context["may_see_people"])
        if console.counting(request) and not flag.derived:
            context["now"] = switch.reach(flag)
            if "preview" in context:
                context["then"] = switch.reach(flag, **context["form"])
        if subject.user or subject.tenant:
            context["decision"] = explain(name, subject, fresh=True)
    except (Refusal, DatabaseError) as error:
        context["trouble"] = databases.words(error)
    return console.page(request, "portal/features/feature.html", name, **context)


def change(request: HttpRequest, name: str) -> HttpResponse:
    """Narrowing is done at once; widening may want a second person."""
    get_object_or_404(Flag, name=name)
    back = reverse("feature", args=[name])
    wanted: dict[str, Any] = {"flag": name, "revive": request.POST.get("revive") == "yes"}
    wanted |= {each: request.POST.get(each, "") for each in approving.VALUES}
    try:
        at = console.moment(wanted["at"])
        wanted["at"] = at.isoformat() if at else ""  # who agrees may read times in another zone
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


def cancel_change(request: HttpRequest, name: str, pk: int) -> HttpResponse:
    scheduled = get_object_or_404(ScheduledChange.objects.select_related("flag"), pk=pk, flag__name=name)
    return console.act(
        request,
        "flags.narrow_flag",
        lambda: schedule.cancel(scheduled, by=console.by(request), reason=console.reason(request)),
        back=reverse("feature", args=[name]),
        done="Cancelled: the feature stays as it is.",
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
