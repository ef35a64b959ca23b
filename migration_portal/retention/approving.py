"""Releasing a hold may want a second person."""

from __future__ import annotations

from migration_portal.approvals.actions import Action, Arguments, Figures, register
from migration_portal.refusal import Refusal
from migration_portal.retention import archiving, holding
from migration_portal.retention.models import Hold


def _hold(arguments: Arguments) -> Hold:
    hold = Hold.objects.filter(pk=arguments["hold"]).first()
    if hold is None:
        raise Refusal("There is no such hold any more.", subject=f"Hold {arguments['hold']}")
    return hold


def _release(arguments: Arguments, by: str, reason: str) -> str:
    hold = _hold(arguments)
    holding.release(hold, by=by, reason=reason)
    return f"Released: {hold}."


def _released(arguments: Arguments) -> Figures:
    hold = _hold(arguments)
    held = [kept for kept in archiving.kept() if hold in kept.holds]
    alone = [kept for kept in held if kept.holds == [hold]]
    return [("Stretches it holds", f"{len(held):,}"), ("of them by no other hold", f"{len(alone):,}")]


RELEASE = register(
    Action("release_hold", "Releasing a legal hold", "retention.release_hold", _release, _released, {"hold": int})
)
