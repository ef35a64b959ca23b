"""One direction of catch-up, what it reads from the queue, and what a batch of it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from psycopg import Connection

from migration_portal.engine.source import Key
from migration_portal.engine.transfer import Transfer

Direction = Literal["forward", "reverse"]


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
    left: Callable[[], Mapping[str, tuple[int, str]]] = dict
    """Per tenant that left the source, the arguments of its Departure."""
    settled: bool = True
    still_ours: Callable[[], object] = bool
    """Asked where rows are applied: raises Refusal once another portal has taken over."""
    silenced: frozenset[str] = frozenset()
    """Target tables whose own triggers do not fire for rows that we bring: what one changes would differ for good."""
    silenced_deletes: frozenset[str] = frozenset()
    """Those of them that have triggers which fire when rows are deleted."""


@dataclass(frozen=True)
class Departure:
    """When a tenant left the source: its queue's last entry, and what was committed there (as pg_current_snapshot() writes it).

    A flip of version 0.1 has no snapshot.
    """

    last: int = 0
    snapshot: str = ""

    def follows(self, entry: Entry) -> bool:
        """Whether the entry was committed before the tenant left: it was drained then, and is no stray write."""
        if not self.snapshot or entry.xid is None:
            return entry.id <= self.last
        return visible(entry.xid, self.snapshot)


def visible(xid: int, snapshot: str) -> bool:
    """Whether a transaction had committed when the snapshot was taken; format of pg_snapshot: `xmin:xmax:xip,xip,…`."""
    first, end, open_ones = snapshot.split(":")
    return xid < int(first) or (xid < int(end) and str(xid) not in open_ones.split(","))


@dataclass(frozen=True)
class Entry:
    """A captured key of a source table; `key` None is the whole table. An `id` of 0 is not from the queue."""

    id: int
    table_name: str
    key: list[str] | None
    tenant: str | None = None
    attempts: int = 0
    xid: int | None = None
    """The transaction that wrote it; None for an entry of version 0.1."""

    @property
    def key_tuple(self) -> Key:
        return tuple(self.key or ())


Collision = tuple[str, str, str]
"""Target table, reason, detail."""


@dataclass
class Batch:
    """What a batch did: entries taken from the queue, rows written and removed, entries to try again, keys seen as strays."""

    entries: int = 0
    written: int = 0
    removed: int = 0
    collided: int = 0
    quarantined: int = 0
    strays: int = 0
    whole: int = 0
    """Whole tables looked at: what was touched in them is not listed."""
    seconds: float = 0.0
    """What the entries taken for the first time took: those tried again come one by one."""
    touched: dict[str, list[Key]] = field(default_factory=dict)
    """Per source table, the keys looked up."""
    unsettled: dict[tuple[str, Key], Collision] = field(default_factory=dict)
    """What collided without an entry of the queue to be tried again by, by source table and key."""

    def add(self, other: Batch) -> None:
        for name in ("entries", "written", "removed", "collided", "quarantined", "strays", "whole", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.unsettled |= other.unsettled
        for table, keys in other.touched.items():
            self.touched.setdefault(table, []).extend(keys)
