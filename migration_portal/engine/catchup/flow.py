"""One direction of catch-up, what it reads from the queue, and what a batch of it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from psycopg import Connection

from migration_portal.engine.transfer import Transfer

Direction = Literal["forward", "reverse"]
Key = tuple[str, ...]
"""A row's key, each part as text."""


@dataclass(frozen=True)
class Flow:
    """One direction at work.

    `queue` is a writable session on the source, `ledger` one on the IAM database (forward the target's own, so that
    what it says commits with the rows). The source owns the tenants that `homes` names if not `by_default`, else all
    others; it is asked once no other process can write. While constraints are suspended, nothing is `settled`.
    """

    direction: Direction
    transfer: Transfer
    queue: Connection[Any]
    ledger: Connection[Any]
    homes: Callable[[], frozenset[str]] = frozenset
    by_default: bool = True
    left: Callable[[], dict[str, int]] = dict
    """Per tenant that left the source, the last entry of its queue from before: that write is no stray."""
    settled: bool = True


@dataclass(frozen=True)
class Entry:
    """A captured key of a source table; `key` None is the whole table. An `id` of 0 is not from the queue."""

    id: int
    table_name: str
    key: list[str] | None
    tenant: str | None = None
    attempts: int = 0

    @property
    def key_tuple(self) -> Key:
        return tuple(self.key or ())


@dataclass
class Batch:
    """What a batch did: entries taken from the queue, rows written and removed, entries to try again, keys seen as strays."""

    entries: int = 0
    written: int = 0
    removed: int = 0
    collided: int = 0
    quarantined: int = 0
    strays: int = 0
    seconds: float = 0.0
    """What the entries taken for the first time took: those tried again come one by one."""
    touched: dict[str, list[Key]] = field(default_factory=dict)
    """Per source table, the keys looked up."""

    def add(self, other: Batch) -> None:
        for name in ("entries", "written", "removed", "collided", "quarantined", "strays", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for table, keys in other.touched.items():
            self.touched.setdefault(table, []).extend(keys)
