"""The deployment plan's pages: the plans, one with its timeline and gates, whom to call; for the screen, for paper, as JSON."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from migration_portal import console
from migration_portal.deployment import work
from migration_portal.deployment.checks import ROLES
from migration_portal.deployment.models import Contact, Phase, Plan, Task
from migration_portal.refusal import Refusal

_VIEW, _WORK, _OVERRIDE = "deployment.view_plan", "deployment.work_plan", "deployment.override_gate"


def board(request: HttpRequest) -> HttpResponse:
    console.need(request, _VIEW)
    rows = [(plan, list(plan.phases.all())) for plan in Plan.objects.prefetch_related("phases")[:50]]  # type: ignore[attr-defined]
    return console.page(
        request,
        "portal/deployment/board.html",
        "Deployment plans",
        rows=rows,
        templates=work.templates(),
        may=request.user.has_perm(_WORK),
    )


def make(request: HttpRequest) -> HttpResponse:
    made: list[Plan] = []

    def do() -> None:
        name, template = request.POST.get("name", ""), request.POST.get("template", "")
        made.append(
            work.make(
                name, template, by=console.by(request), starts_at=console.moment(request.POST.get("starts_at", ""))
            )
        )

    answer = console.act(
        request, _WORK, do, back=reverse("deployment"), done="Made. Assign its tasks, then run the checks."
    )
    if made:
        answer["Location"] = reverse("deployment_plan", args=[made[0].pk])
    return answer


def plan(request: HttpRequest, pk: int) -> HttpResponse:
    console.need(request, _VIEW)
    chosen = get_object_or_404(Plan, pk=pk)
    phases = list(chosen.phases.prefetch_related("tasks"))  # type: ignore[attr-defined]
    template = "portal/deployment/print.html" if request.GET.get("print") else "portal/deployment/plan.html"
    return console.page(
        request, template, chosen.name, plan=chosen, phases=phases, bars=timeline(phases),
        current=next((phase.pk for phase in phases if phase.passed_at is None), None),
        on_duty=Contact.objects.filter(on_duty=True), may=request.user.has_perm(_WORK),
        may_override=request.user.has_perm(_OVERRIDE),
    )  # fmt: skip


def timeline(phases: list[Phase]) -> dict[int, dict[str, float]]:
    """Where each phase's bar begins and how wide it is, and where now is, in per cent of the whole plan."""
    if not phases:
        return {}
    first, last = min(phase.starts_at for phase in phases), max(phase.ends_at for phase in phases)
    whole = max((last - first) / timedelta(seconds=1), 1.0)
    now = min(max((timezone.now() - first) / timedelta(seconds=1) / whole * 100, 0.0), 100.0)
    return {
        phase.pk: {
            "left": (phase.starts_at - first) / timedelta(seconds=1) / whole * 100,
            "width": max((phase.ends_at - phase.starts_at) / timedelta(seconds=1) / whole * 100, 0.8), "now": now,
        }
        for phase in phases
    }  # fmt: skip


def export(request: HttpRequest, pk: int) -> HttpResponse:
    console.need(request, _VIEW)
    chosen = get_object_or_404(Plan, pk=pk)
    answer = JsonResponse(work.as_dict(chosen), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="deployment-plan-{chosen.pk}.json"'
    return answer


def prove(request: HttpRequest, pk: int) -> HttpResponse:
    """Run the checks of one phase, of one task, or of the whole plan."""
    chosen = get_object_or_404(Plan, pk=pk)

    def do() -> str:
        tasks = Task.objects.filter(phase__plan=chosen)
        for name, column in (("phase", "phase"), ("task", "pk")):
            if (number := console.whole(request.POST.get(name, ""), 1, 10**9)) is not None:
                tasks = tasks.filter(**{column: number})
        checked = tasks.exclude(check_name="")
        return f"Checks run: {checked.count()}; proven: {work.prove(checked, by=console.by(request))}."

    return console.act(request, _WORK, do, back=_place(chosen), done="")


def task(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    chosen = get_object_or_404(Task.objects.select_related("phase__plan"), pk=pk)
    by = console.by(request)

    def do() -> None:
        if verb == "done":
            work.done(chosen, by=by, note=console.reason(request))
        elif verb == "sign":
            work.sign(chosen, by=by)
        else:
            work.assign(
                chosen,
                owner=request.POST.get("owner", ""),
                due_at=console.moment(request.POST.get("due_at", "")),
                by=by,
            )

    return console.act(request, _WORK, do, back=_place(chosen.phase.plan), done="Noted.")


def gate(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Pass, override or reopen."""
    chosen = get_object_or_404(Phase.objects.select_related("plan"), pk=pk)
    by, reason = console.by(request), console.reason(request)

    def do() -> None:
        if verb == "pass":
            work.pass_gate(chosen, by=by)
        elif verb == "reopen":
            work.reopen(chosen, by=by, reason=reason)
        else:
            console.require_typed(request, "override")
            if not reason:
                raise Refusal("Overriding a gate needs a reason.", subject=str(chosen), todo="Say why.")
            work.pass_gate(chosen, by=by, override=reason)

    permission = _WORK if verb == "pass" else _OVERRIDE
    done = {"pass": "It has passed.", "override": "It has passed, overridden.", "reopen": "Reopened."}[verb]
    return console.act(request, permission, do, back=_place(chosen.plan), done=done)


def contacts(request: HttpRequest) -> HttpResponse:
    """Whom to call; posted to, a contact is set or removed."""
    if request.method == "POST":

        def do() -> None:
            if number := console.whole(request.POST.get("remove", ""), 1, 10**9):
                work.remove_contact(get_object_or_404(Contact, pk=number), by=console.by(request))
                return
            given = {name: request.POST.get(name, "") for name in ("role", "name", "reach")}
            work.set_contact(**given, on_duty=request.POST.get("on_duty") == "yes", by=console.by(request))

        return console.act(request, _WORK, do, back=reverse("deployment_contacts"), done="Noted.")
    console.need(request, _VIEW)
    return console.page(
        request,
        "portal/deployment/contacts.html",
        "Whom to call",
        rows=Contact.objects.all(),
        roles=ROLES,
        may=request.user.has_perm(_WORK),
    )


def _place(chosen: Plan) -> str:
    return reverse("deployment_plan", args=[chosen.pk])
