"""Doing what may want a second person: how the rooms' pages do it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from migration_portal import console
from migration_portal.approvals import decide
from migration_portal.approvals.actions import ASK, Action, Arguments
from migration_portal.approvals.models import Approval


def may(request: HttpRequest, action: Action) -> bool:
    """Whether this operator can do it, or ask for it."""
    return request.user.has_perm(action.permission) or (action.asks and request.user.has_perm(ASK))


def act(
    request: HttpRequest, action: Action, arguments: Arguments, *, subject: str, back: str,
    confirm: Callable[[], None] = lambda: None,
) -> HttpResponse:  # fmt: skip
    """Do it, or where the settings say so keep it until a second person agrees. `confirm` raises what the dialog lacks."""
    by, reason = console.by(request), console.reason(request)
    made: list[Approval] = []

    def do() -> str:
        confirm()
        if not action.asks:
            return action.perform(arguments, by, reason)
        made.append(decide.ask(action, arguments, subject=subject, place=back, by=by, reason=reason))
        return f"Nothing has changed yet: a second person has to agree. {decide.another(action.permission, but=by)}"

    permission = ASK if action.asks and not request.user.has_perm(action.permission) else action.permission
    answer = console.act(request, permission, do, back=back, done="")
    if made:
        answer["Location"] = reverse("approval", args=[made[0].pk])
    return answer
