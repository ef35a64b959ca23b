"""Reads first: the IAM answers the reads of a tenant whose writes still go to legacy, as long as it has all that was written there.

Catch-up says until when that is so. A read is at most FRESH_SECONDS older than legacy's answer; who wrote within that time is
answered by legacy, so everybody reads what they wrote themselves.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from flags.models import CaughtUp, TenantHome

FRESH_SECONDS = 2.0
_KNOWN_SECONDS = 1.0
"""For how long a process keeps whether any tenant reads first."""
_BEGIN_SECONDS = 3.0
"""Every process marks writes by then, for longer than a read may be old."""
_CURRENT = """
SELECT EXISTS (
    SELECT FROM flags_tenanthome AS home, flags_caughtup AS caught_up
    WHERE home.tenant = %s AND home.home = 'legacy' AND home.reads_since < clock_timestamp() - %s * interval '1 second'
      AND caught_up.at > clock_timestamp() - %s * interval '1 second'
      AND NOT caught_up.behind && ARRAY[lower(home.tenant), lower(home.legacy_tenant)]::varchar[])
"""


def wanted() -> bool:
    """Whether any tenant's reads are to be answered by the IAM, as it was a second ago at the earliest."""
    with _known.lock:
        if time.monotonic() - _known.at > _KNOWN_SECONDS:
            _known.wanted = TenantHome.objects.filter(reads_since__isnull=False).exists()
            _known.at = time.monotonic()
        return _known.wanted


def current(tenant: str) -> bool:
    """Whether the IAM may answer a read of this tenant now."""
    if not tenant or settings.LEGACY_SERVED_BY or not wanted():
        return False
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT, [tenant, _BEGIN_SECONDS, FRESH_SECONDS])
        return bool(cursor.fetchone()[0])


def begin_again(tenant: str) -> None:
    """As if it began now: a write could not be marked."""
    TenantHome.objects.filter(pk=tenant, reads_since__isnull=False).update(reads_since=Now())


def caught_up(at: datetime, behind: list[str]) -> None:
    """Catch-up's word."""
    CaughtUp.objects.update_or_create(pk=1, defaults={"at": at, "behind": behind})


class _Known:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at, self.wanted = float("-inf"), False


_known = _Known()
