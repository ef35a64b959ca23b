"""The decision matrix: what it says now and said before, its rules, what they would have said, and complaints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from migration_portal import console
from migration_portal.refusal import Refusal
from migration_portal.rollback import complaints, simulate
from migration_portal.rollback.judge import change_rules, in_force
from migration_portal.rollback.judge import hold as judging_hold
from migration_portal.rollback.matrix import SEVERITIES, Action, Metric, evaluate
from migration_portal.rollback.measure import measure
from migration_portal.rollback.models import Complaint, Hold, Judgement, Matrix

_NUMBERS = {"requests": 100, "failures": 1, "p95": 120, "baseline": 100, "findings": 0, "complaints": 0}
_MOST = 1e12
_FIELDS = ("name", "metric", "threshold", "severity", "action", "minutes", "running", "least")


def matrix(request: HttpRequest) -> HttpResponse:
    console.need(request, "rollback.view_matrix")
    found, measured = in_force(), measure()
    context: dict[str, Any] = {
        "matrix": found, "rules": found.rules, "verdict": evaluate(found.rules, measured), "measured": measured,
        "judgements": list(Judgement.objects.select_related("matrix")[:20]), "versions": list(Matrix.objects.all()[:10]),
        "complaints": list(Complaint.objects.all()[:20]), "abouts": Complaint.About.choices,
        "acts": settings.ROLLBACK_MODE == "act",
        "metrics": list(Metric), "actions": list(Action), "severities": SEVERITIES, "numbers": _NUMBERS,
        "held": Hold.current(), "may_hold": request.user.has_perm("rollback.hold_matrix"),
        "may_change": request.user.has_perm("rollback.change_rules"),
        "may_complain": request.user.has_perm("rollback.register_complaint"),
    }  # fmt: skip
    if request.GET.get("simulate") == "yesterday":
        until = timezone.now().replace(second=0, microsecond=0)
        context["changes"] = list(simulate.replay(found.rules, since=until - timedelta(days=1), until=until))
    elif request.GET.get("simulate") == "numbers":
        context |= _simulated(request, found)
    return console.page(request, "portal/rollback/matrix.html", "Decision matrix", **context)


def _simulated(request: HttpRequest, matrix: Matrix) -> dict[str, Any]:
    try:
        numbers: dict[str, Any] = {name: float(request.GET.get(name, "")) for name in _NUMBERS}
        whole = {name: int(numbers[name]) for name in ("requests", "failures", "findings", "complaints")}
        if not all(0 <= number < _MOST for number in numbers.values()) or whole["failures"] > whole["requests"]:
            raise ValueError
    except (ValueError, OverflowError):
        return {"trouble": "Type numbers from 0 on, and no more failures than requests."}
    numbers |= whole
    return {"numbers": numbers, "simulated": simulate.of_numbers(matrix.rules, **numbers)}


def change(request: HttpRequest) -> HttpResponse:
    """The rules as the form has them: one list for each field, a place in it for each rule; without a name a rule goes."""

    def do() -> str:
        lists = [request.POST.getlist(field) for field in _FIELDS]
        if len({len(each) for each in lists}) != 1:
            raise Refusal("The form is incomplete.", todo="Nothing has changed.")
        rows = [
            _row(dict(zip(_FIELDS, values, strict=True))) for values in zip(*lists, strict=True) if values[0].strip()
        ]
        made = change_rules(rows, by=console.by(request), reason=console.reason(request))
        return f"{made} of the matrix is in force."

    return console.act(request, "rollback.change_rules", do, back=reverse("matrix"), done="")


def _row(values: dict[str, str]) -> dict[str, object]:
    try:
        whole = {name: int(values[name]) for name in ("minutes", "running", "least")}
        return {**values, "threshold": float(values["threshold"]), **whole}
    except ValueError:
        raise Refusal("A number is none.", subject=values["name"], todo="Nothing has changed.") from None


def hold(request: HttpRequest) -> HttpResponse:
    """Keep the matrix from acting for a while, or let it act again."""
    typed = request.POST.get("hours", "")
    hours = console.whole(typed, 0, 10**6)

    def do() -> str:
        if hours is None:
            raise Refusal("That is no number of hours.", subject=typed[:20], todo="Nothing has changed.")
        made = judging_hold(hours=hours, by=console.by(request), reason=console.reason(request))
        return f"{made}." if hours else "The matrix may act again."

    return console.act(request, "rollback.hold_matrix", do, back=reverse("matrix"), done="")


def complain(request: HttpRequest) -> HttpResponse:
    def do() -> None:
        complaints.register(
            request.POST.get("about", ""), by=console.by(request), tenant=request.POST.get("tenant", "").strip(),
            text=request.POST.get("text", "").strip(),
        )  # fmt: skip

    return console.act(request, "rollback.register_complaint", do, back=reverse("matrix"), done="Registered.")
