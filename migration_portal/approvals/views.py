"""The pages on which a second person decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from migration_portal import console, databases
from migration_portal.approvals import acting, decide
from migration_portal.approvals.actions import Figures, named
from migration_portal.approvals.models import Approval
from migration_portal.refusal import Refusal

_SEE = "approvals.view_approval"
_MOST = 100


def approvals(request: HttpRequest) -> HttpResponse:
    """What waits for a second person, and what was decided."""
    console.need(request, _SEE)
    rows = Approval.objects.all()
    return console.page(
        request, "portal/approvals/list.html", "Approvals", waiting=[(each, _label(each)) for each in rows.waiting()],
        rows=[(each, _label(each)) for each in rows[:_MOST] if each.state != "open"], wanted=sorted(settings.APPROVALS),
    )  # fmt: skip


def approval(request: HttpRequest, pk: int) -> HttpResponse:
    """One request: what it does, by figures of now and of when it was asked for, and the buttons to decide."""
    console.need(request, _SEE)
    asked = get_object_or_404(Approval, pk=pk)
    context: dict[str, Any] = {"asked": asked, "label": _label(asked), "trouble": ""}
    if asked.state == "open":
        try:
            action = named(asked.action)
            context["figures"] = _beside(asked.impact, action.impact(asked.arguments))
            context["who"] = decide.another(action.permission, but=asked.requested_by)
            context["own"] = console.by(request) == asked.requested_by
            context["may"] = request.user.has_perm(action.permission)
        except (Refusal, DatabaseError, psycopg.Error) as error:
            context["trouble"] = databases.words(error)
    context.setdefault("figures", [(name, then, then) for name, then in asked.impact])
    return console.page(request, "portal/approvals/approval.html", f"{asked}: {context['label']}", **context)


def impact(request: HttpRequest, name: str) -> HttpResponse:
    """What an action would do, in figures, for the dialog that asks whether to."""
    try:
        action = named(name)
        if not acting.may(request, action):
            raise PermissionDenied
        arguments = action.read(request.GET.dict())
        context: dict[str, Any] = {"figures": action.impact(arguments), "trouble": ""}
    except ValueError:
        raise Http404 from None
    except (Refusal, DatabaseError, psycopg.Error) as error:
        context = {"figures": [], "trouble": databases.words(error)}
    return TemplateResponse(request, "portal/approvals/impact.html", context)


def answer(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Agree, reject or withdraw."""
    asked = get_object_or_404(Approval, pk=pk)
    by, remark, back = console.by(request), console.reason(request), reverse("approval", args=[pk])

    def agree() -> str:
        console.require_shown(request)
        return decide.agree(asked, by=by, remark=remark)

    verbs: dict[str, tuple[Callable[[], Any], str]] = {
        "agree": (agree, ""),
        "reject": (lambda: decide.reject(asked, by=by, remark=remark), "Rejected. Nothing has changed."),
        "withdraw": (lambda: decide.withdraw(asked, by=by), "Withdrawn. Nothing has changed."),
    }
    if verb not in verbs:
        return HttpResponse(status=404)
    do, done = verbs[verb]
    return console.act(request, _SEE if verb == "withdraw" else _permission(asked), do, back=back, done=done)


def _permission(asked: Approval) -> str:
    try:
        return named(asked.action).permission
    except Refusal:  # which agreeing tells; one of an action that is gone can only be put away
        return _SEE


def _label(asked: Approval) -> str:
    try:
        return f"{named(asked.action).label}: {asked.subject}"
    except Refusal:
        return f"{asked.action}: {asked.subject}"


def _beside(then: list[list[str]], now: Figures) -> list[tuple[str, str, str]]:
    """What is counted, as it was when it was asked for, and now."""
    before: dict[str, str] = {figure[0]: figure[1] for figure in then}
    return [(name, before.get(name, "—"), value) for name, value in now]
