"""What may only be done while nobody moves tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from migration_portal.locks import Lock, only_one
from migration_portal.refusal import Refusal

_PATIENCE_SECONDS = 5.0
"""The loops look for moves and disagreements every few seconds, and have the lock while they look: that is no move."""


@contextmanager
def unmoved(subject: str) -> Iterator[None]:
    """Until the end of the block no tenant is moved. Raises Refusal where one is being moved."""
    with only_one(connection, Lock.MOVES, seconds=_PATIENCE_SECONDS) as alone:
        if not alone:
            raise Refusal("Tenants are being moved.", subject=subject, todo="Wait for the moves to end.")
        yield
