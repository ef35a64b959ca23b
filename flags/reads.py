"""Reads first: the IAM answers the reads of a tenant whose writes still go to legacy, as long as it has all that was written there.

Catch-up says until when that is so, and of whom. A read is at most FRESH_SECONDS older than legacy's answer; who wrote within that
time is answered by legacy, so everybody reads what they wrote themselves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from flags.models import CaughtUp, TenantHome

FRESH_SECONDS = 2.0
KNOWN_SECONDS = 1.0
"""For how long a process keeps whether any tenant reads first."""
BEGIN_SECONDS = FRESH_SECONDS + KNOWN_SECONDS
"""A tenant reads first once it has for so long: by then every process marks writes, and has for longer than a read may be old."""
_CURRENT = (Path(__file__).parent / "reads.sql").read_text(encoding="utf-8")


def wanted() -> bool:
    """Whether any tenant's reads are to be answered by the IAM, as it was a second ago at the earliest. Yes while nobody knows."""
    with _known.lock:
        if time.monotonic() - _known.at > KNOWN_SECONDS:
            try:
                _known.wanted = TenantHome.objects.filter(reads_since__isnull=False).exists()
            except DatabaseError:
                return True
            _known.at = time.monotonic()
        return _known.wanted


def current(tenant: str) -> bool:
    """Whether the IAM may answer a read of this tenant now."""
    if not tenant or settings.LEGACY_SERVED_BY or not wanted():
        return False
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT, [tenant, BEGIN_SECONDS, FRESH_SECONDS])
        return bool(cursor.fetchone()[0])


def begin_again(tenant: str) -> None:
    """As if it began now: a write could not be marked."""
    TenantHome.objects.filter(pk=tenant, reads_since__isnull=False).update(reads_since=Now())


def end() -> int:
    """Nobody reads first any more, from the end of the transaction on. Returns how many tenants did."""
    return TenantHome.objects.filter(reads_since__isnull=False).update(reads_since=None)


def caught_up(at: datetime, tenants: Iterable[str]) -> None:
    """Catch-up's word."""
    CaughtUp.objects.update_or_create(pk=1, defaults={"at": at, "tenants": sorted(tenants)})


class _Known:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at, self.wanted = float("-inf"), False


_known = _Known()
