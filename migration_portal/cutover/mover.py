"""One mover at a time: whoever moves tenants, or makes the guards agree with their homes, holds this lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_LOCK = 0x516B_0001


@contextmanager
def only_mover() -> Iterator[bool]:
    """Whether we are the one. It ends with the session, so a dead mover holds nobody up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        alone = bool(cursor.fetchone()[0])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
