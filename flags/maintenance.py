"""Maintenance: the doors are closed to what writes, and clients are asked to come again. Known everywhere within a second."""

from __future__ import annotations

import threading
import time

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from flags.homes import LOCK_CLASS
from flags.models import Maintenance

CLOSED = "closed"
"""Whose answer it is, where others say which system answered: no failure of either."""
SECONDS = 1.0
"""For how long a process keeps what it read."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_SOONEST, _USUAL, _LATEST = 5, 30, 3600
_lock = threading.Lock()
_known: tuple[float, Maintenance | None] = (0.0, None)
log = structlog.get_logger(__name__)


def retry_after(method: str, *, reads: bool = False) -> int | None:
    """In how many seconds to come again with this request; None when it is answered now. `reads` is a POST that only reads."""
    if method in _SAFE or reads:
        return None
    closed = _current()
    if closed is None:
        return None
    if closed.expected_until is None:
        return _USUAL
    return min(max(round((closed.expected_until - timezone.now()).total_seconds()), _SOONEST), _LATEST)


def current() -> Maintenance | None:
    """As the database has it now."""
    return Maintenance.objects.filter(ended_at=None).first()


def quiet() -> bool:
    """Whether no request that may write is under way any more, anywhere."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND mode = 'ShareLock'"
            " AND classid = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [LOCK_CLASS],
        )
        return not cursor.fetchone()[0]


def forget() -> None:
    """Read it again at the next request of this process."""
    global _known
    with _lock:
        _known = (0.0, None)


def _current() -> Maintenance | None:
    """What was read last, for as long as the database does not answer: a server that is away opens no door."""
    global _known
    with _lock:
        read_at, found = _known
        if time.monotonic() - read_at > SECONDS or not read_at:
            try:
                found = current()
            except DatabaseError as error:
                log.warning("maintenance_unknown", error=str(error).splitlines()[0][:200])
            _known = (time.monotonic(), found)
    return found
