"""Is a licence good? One judgement for every door."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from iam.models import License


class Judgement(Enum):
    VALID = ""
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    INACTIVE = "inactive"


def expiry(licence: License) -> datetime | None:
    """Judged by its own issue date and validity: the released service failed on a licence without a subscription."""
    if licence.issued_at is None or licence.validity_days is None:
        return None
    try:
        return licence.issued_at + timedelta(days=licence.validity_days)
    except OverflowError:
        return None  # so far away that no calendar has it


def judge(licence: License | None, now: datetime) -> Judgement:
    """`licence` comes with its tenant."""
    if licence is None:
        return Judgement.UNKNOWN
    ends = expiry(licence)
    if ends is not None and ends <= now:
        return Judgement.EXPIRED
    if licence.tenant is not None and not licence.tenant.is_active:
        return Judgement.INACTIVE
    return Judgement.VALID
