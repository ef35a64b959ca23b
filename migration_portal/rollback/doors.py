"""Closing the doors to writes, and opening them: clients are answered with the contract's 503 and Retry-After meanwhile."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from flags import maintenance
from flags.models import Maintenance
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason

_MOST_MINUTES = 24 * 60


def close_doors(*, by: str, reason: str, minutes: int | None = None) -> Maintenance:
    """Answer only what reads, from now on; known everywhere within a second. Raises Refusal when they are closed already."""
    require_reason(reason, to="Closing the doors")
    if minutes is not None and not 1 <= minutes <= _MOST_MINUTES:
        raise Refusal(f"{minutes} min is no time to expect.", subject="doors", todo=f"Use 1 to {_MOST_MINUTES:,}.")
    until = timezone.now() + timedelta(minutes=minutes) if minutes else None
    try:
        with transaction.atomic():
            made = Maintenance.objects.create(by=by, reason=reason, expected_until=until)
            chain.record("close_doors", of=made, by=by, reason=reason, data={"until": str(until or "")})
    except IntegrityError:
        raise Refusal("The doors are closed already.", todo="See Roll-back.") from None
    maintenance.forget()
    return made


def open_doors(*, by: str, reason: str = "") -> None:
    """Answer everything again. Raises Refusal when they are open."""
    with transaction.atomic():
        there = Maintenance.objects.select_for_update().filter(ended_at=None).first()
        if there is None:
            raise Refusal("The doors are open.")
        Maintenance.objects.filter(pk=there.pk).update(ended_at=timezone.now(), ended_by=by)
        chain.record("open_doors", of=there, by=by, reason=reason)
    maintenance.forget()
