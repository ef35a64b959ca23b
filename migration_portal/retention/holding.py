"""Placing a legal hold, and releasing it."""

from __future__ import annotations

from datetime import date

from django.db import IntegrityError, transaction
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason
from migration_portal.retention.models import Hold


def place(matter: str, since: date, until: date | None, *, by: str, reason: str) -> Hold:
    """From now on nothing of these days is archived. Raises Refusal."""
    matter = matter.strip()
    if not matter:
        raise Refusal("A hold needs a name.", todo="Name the matter, as in “Case 2026-117”.")
    require_reason(reason, to="Placing a hold", subject=matter)
    if until and until < since:
        raise Refusal("Its last day is before its first.", subject=matter, todo="Exchange them.")
    try:
        with transaction.atomic():
            hold = Hold.objects.create(matter=matter[:120], since=since, until=until, reason=reason, placed_by=by)
            days = {"from": since.isoformat(), "until": until.isoformat() if until else None}
            chain.record("place_hold", of=hold, by=by, reason=reason, data={"key": hold.matter, **days})
    except IntegrityError:
        raise Refusal("A hold of that name stands.", subject=matter, todo="Choose another name.") from None
    return hold


@transaction.atomic
def release(hold: Hold, *, by: str, reason: str) -> None:
    """What it held may be archived again. Raises Refusal."""
    require_reason(reason, to="Releasing a hold", subject=hold.matter)
    now = timezone.now()
    if not Hold.objects.standing().filter(pk=hold.pk).update(released_at=now, released_by=by, released_for=reason):
        raise Refusal("It has been released.", subject=hold.matter)
    chain.record("release_hold", of=hold, by=by, reason=reason, data={"key": hold.matter})
