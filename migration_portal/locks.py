"""Every advisory lock of the portal, by name.

Processes of different versions agree on these numbers while an upgrade rolls out: they never change. A lock with a
key takes two integers (class, key), one without a key takes the number alone. The request path has one of its own,
0x516B in flags/homes.py, that a request takes for the tenant it writes to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Any

GUARD_BUCKETS = 1024
"""Tenants share this many keys of Lock.GUARD, so that a long transaction cannot exhaust the server's lock table."""


class Lock(IntEnum):
    """What is locked, and in which database."""

    RUN = 0x5167
    """(RUN, run's number), portal: plan the run's next steps."""
    GUARD = 0x5168
    """(GUARD, bucket of a tenant), legacy and IAM: writers share it, a move takes it alone."""
    APPLY = 0x5169
    """(APPLY, 1 forward or 2 reverse), target: apply captured changes."""
    FOLLOW = 0x516A
    """(FOLLOW, 1 forward or 2 reverse), portal: be the loop of this direction."""
    MOVES = 0x516B_0001
    """Portal: move tenants, or make the guards agree with their homes."""
    WAVES = 0x5167_0010
    """Portal: choose the tenants of a wave."""
    NOTICES = 0x5167_0011
    """Portal: plan a notice."""
    LEDGER = 0x5167_0001
    """IAM: install or upgrade the ledger."""
    CLAIM = 0x5167_0012
    """IAM: take a chunk of a run that only so many workers may be at."""
    CAPTURE = 0x5167_0009
    """Legacy and IAM: install or upgrade capture's objects."""
    AUDIT = 0x5167_0002
    """Portal: append to the audit chain."""
    ANCHORS = 0x5167_0004
    """Portal: anchor the audit chain."""
    BACKUPS = 0x5167_0005
    """Portal: choose which old backups to remove."""
    CHECKPOINT = 0x5167_0006
    """Portal: take the checkpoint of the day."""
    ROLL_BACK = 0x5167_0007
    """Portal: go on with a roll-back."""
    HEALTH_REPORT = 0x5167_0008
    """Portal: send the health report of the day."""
    SCHEMA = 0x5167_0003
    """IAM: apply or roll back a schema script."""


def one_after_the_other(connection: Any, lock: Lock) -> None:
    """Wait for the lock; this transaction has it until its end. `connection` is Django's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(lock)])


@contextmanager
def only_one(connection: Any, lock: Lock, key: int | None = None, *, seconds: float = 0.0) -> Iterator[bool]:
    """Whether this session has the lock until the end of the block; a dead session holds nobody up.

    Nobody waits longer than `seconds` for it. `connection` is Django's or psycopg's.
    """
    until = time.monotonic() + seconds
    arguments = [int(lock)] if key is None else [int(lock), key]
    marks = ", ".join(["%s"] * len(arguments))
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT pg_try_advisory_lock({marks})", arguments)
            alone = bool(cursor.fetchone()[0])
            if alone or time.monotonic() >= until:
                break
            time.sleep(0.05)
        try:
            yield alone
        finally:
            if alone:
                with suppress(Exception):  # a session that died has let go of it
                    cursor.execute(f"SELECT pg_advisory_unlock({marks})", arguments)
