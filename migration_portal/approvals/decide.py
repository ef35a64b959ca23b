"""Asking for a second person, and what that person decides."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from migration_portal import databases
from migration_portal.approvals.actions import ASK, Action, Arguments, named
from migration_portal.approvals.models import Approval
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason

_MOST_NAMES = 5


def ask(action: Action, arguments: Arguments, *, subject: str, place: str, by: str, reason: str) -> Approval:
    """Keep what is asked for until somebody else agrees. Raises Refusal: no reason, or asked for already."""
    require_reason(reason, to=action.label, subject=subject)
    impact, now = action.impact(arguments), timezone.now()
    try:
        with transaction.atomic():
            _put_away_expired(action, place)
            made: Approval = Approval.objects.create(
                action=action.name, arguments=dict(arguments), subject=subject, place=place, impact=impact, reason=reason,
                requested_by=by, expires_at=now + timedelta(hours=settings.APPROVAL_HOURS),
            )  # fmt: skip
            chain.record("ask_approval", of=made, by=by, reason=reason, data={"field": action.name})
    except IntegrityError:
        there = Approval.objects.waiting().filter(action=action.name, place=place).first()
        raise Refusal(
            f"{there or 'Another request'} asks for it already.", subject=subject, todo="Withdraw that one, or wait."
        ) from None
    return made


def _put_away_expired(action: Action, place: str) -> None:
    """One that nobody decided about stands in nobody's way."""
    old = Approval.objects.filter(action=action.name, place=place, decision="", expires_at__lte=timezone.now())
    old.update(decision=Approval.Decision.EXPIRED, decided_at=timezone.now())


def agree(asked: Approval, *, by: str, remark: str = "") -> str:
    """Do what was asked for, as the one who asked. Returns what came of it. Raises Refusal; psycopg.Error, DatabaseError."""
    action = named(asked.action)
    if by == asked.requested_by:
        raise Refusal("You asked for it yourself.", subject=asked.subject, todo=another(action.permission, but=by))
    asker = User.objects.filter(username=asked.requested_by, is_active=True).first()
    if asker is None or not (asker.has_perm(action.permission) or asker.has_perm(ASK)):
        raise Refusal(f"{asked.requested_by} may not ask for it any more.", subject=asked.subject, todo="Reject it.")
    _decide(asked, Approval.Decision.AGREED, "approve", by=by, remark=remark)
    token = chain.approver.set(by)
    try:
        outcome = action.perform(asked.arguments, asked.requested_by, asked.reason)
    except (Refusal, DatabaseError, psycopg.Error) as error:
        Approval.objects.filter(pk=asked.pk).update(outcome=databases.words(error), failed=True)
        raise
    finally:
        chain.approver.reset(token)
    Approval.objects.filter(pk=asked.pk).update(outcome=outcome)
    return outcome


def reject(asked: Approval, *, by: str, remark: str) -> None:
    """Raises Refusal."""
    require_reason(remark, to="Rejecting", subject=asked.subject)
    _decide(asked, Approval.Decision.REJECTED, "reject_approval", by=by, remark=remark)


def withdraw(asked: Approval, *, by: str) -> None:
    """By the one who asked. Raises Refusal."""
    if by != asked.requested_by:
        raise Refusal(f"{asked.requested_by} asked for it.", subject=asked.subject, todo="Reject it instead.")
    _decide(asked, Approval.Decision.WITHDRAWN, "withdraw_approval", by=by, remark="")


def another(permission: str, *, but: str) -> str:
    """Who else can agree, in words."""
    known = User.objects.filter(is_active=True, is_staff=True).exclude(username=but).order_by("username")
    names = [user.username for user in known if user.has_perm(permission)]
    if not names:
        return "Nobody else may agree to it: a superuser adds somebody to the group approver, under Operators."
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"Who can agree: {', '.join(names[:_MOST_NAMES])}{more}."


def _decide(asked: Approval, decision: Approval.Decision, verb: str, *, by: str, remark: str) -> None:
    with transaction.atomic():
        waiting = Approval.objects.waiting().filter(pk=asked.pk)
        if not waiting.update(decision=decision, decided_by=by, decided_at=timezone.now(), remark=remark):
            raise Refusal("It was decided, or has expired.", subject=str(asked), todo="Ask again.")
        data = {"field": asked.action, "from": asked.requested_by}
        chain.record(verb, of=asked, by=by, reason=remark, data=data)
