"""Is a licence good? One judgement for every door."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from functools import cache

from iam.models import License, Tenant


def find(key: str) -> License | None:
    """The licence with this key, and its tenant. Composed once, as in `tokens`: this is asked more than anything else."""
    if "\0" in key:  # no text in PostgreSQL holds it
        return None
    licence: License | None = next(iter(License.objects.raw(_statement(), [key])), None)
    if licence is not None and licence.tenant_id is not None:
        active = licence.tenant_is_active  # type: ignore[attr-defined]
        licence.tenant = Tenant(pk=licence.tenant_id, is_active=active)
    return licence


@cache
def _statement() -> str:
    return (
        f"SELECT {License.columns('l')}, t.is_active AS tenant_is_active"
        " FROM licenses AS l LEFT JOIN tenants AS t ON t.id = l.tenant_id WHERE l.license_key = %s"
    )


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
    """Of a licence that came with its tenant."""
    if licence is None:
        return Judgement.UNKNOWN
    ends = expiry(licence)
    if ends is not None and ends <= now:
        return Judgement.EXPIRED
    if licence.tenant is not None and not licence.tenant.is_active:
        return Judgement.INACTIVE
    return Judgement.VALID
