"""Ignore a contract mismatch for some days, on the record; or open it again."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from legacy_compat.models import Mismatch
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason

DAYS = (1, 7, 30)


@transaction.atomic
def ignore(mismatch: Mismatch, *, days: int, by: str, reason: str) -> None:
    """Leave the mismatch out of the open ones for so many days. Raises Refusal without a reason or for another number."""
    require_reason(reason, to="Ignoring a mismatch", subject=str(mismatch))
    if days not in DAYS:
        raise Refusal("Choose when it ends.", subject=str(mismatch), todo=f"Days: {', '.join(map(str, DAYS))}.")
    mismatch.state, mismatch.ignored_until = Mismatch.State.IGNORED, timezone.now() + timedelta(days=days)
    _save(mismatch, "ignore_mismatch", by=by, reason=reason)


@transaction.atomic
def reopen(mismatch: Mismatch, *, by: str, reason: str) -> None:
    """Count it among the open ones again. Raises Refusal without a reason."""
    require_reason(reason, to="Opening a mismatch again", subject=str(mismatch))
    mismatch.state, mismatch.ignored_until = Mismatch.State.OPEN, None
    _save(mismatch, "reopen_mismatch", by=by, reason=reason)


def _save(mismatch: Mismatch, verb: str, *, by: str, reason: str) -> None:
    mismatch.decided_by, mismatch.reason = by, reason
    mismatch.save(update_fields=["state", "ignored_until", "decided_by", "reason"])
    until = mismatch.ignored_until.isoformat() if mismatch.ignored_until else None
    data = {"endpoint": mismatch.endpoint, "field": mismatch.field, "until": until}
    chain.record(verb, of=mismatch, by=by, reason=reason, data=data)
