"""Catch-up: read a batch of captured keys, look up what those rows are now, and make the target agree.

The order of entries does not matter and repeating a batch is harmless, because the row's present
state is what is copied. Entries leave the queue only after the target has committed. A key that
collides stays queued and is tried again by itself, ever more rarely; what never settles is quarantined.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier
from psycopg.sql import Literal as SqlLiteral

from migration_portal.engine import merging, quarantine, staging
from migration_portal.engine.errors import blames_a_row, describe
from migration_portal.engine.merge_uniques import Widen
from migration_portal.engine.merge_work import Key, Merged
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile, directions
from migration_portal.plan.model import Plan

MOST_ATTEMPTS = 6
"""Then a row that collides is quarantined (about a minute). On the way back nothing is: it stays queued."""
_WIDENINGS = 3
_TRIED_AGAIN = 20


@dataclass(frozen=True)
class Flow:
    """One direction. `sides` reads from `legacy` and writes to `iam`, whichever systems these are.

    `queue` is a writable session on the source, `ledger` one on the IAM database (the target's own
    on the way forward, so that what it says commits with the rows). The source owns the tenants
    that `homes` names if not `by_default`, else all others; it is asked once no other can write.
    While constraints are set aside, nothing is `settled`.
    """

    name: Literal["forward", "reverse"]
    sides: Sides
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


def batch(flow: Flow, *, most: int, tenant: str | None = None, upto: int | None = None) -> Batch:
    """Apply up to `most` entries, of one tenant (as the source writes it) or up to an entry if asked.

    Raises Refusal when a database fails; then the entries are still queued.
    """
    started = time.monotonic()
    done = Batch()
    about = {"tenant": tenant, "upto": upto, "most": most}
    with flow.queue.cursor(row_factory=class_row(Entry)) as cursor:
        fresh = cursor.execute(queries("capture")["next"], about).fetchall()
        again = cursor.execute(queries("capture")["next_again"], about | {"most": _TRIED_AGAIN}).fetchall()
    try:
        if keyed := [entry for entry in fresh if entry.key is not None]:
            done.add(apply(flow, keyed))
        done.seconds = time.monotonic() - started
        for entry in [entry for entry in fresh if entry.key is None] + again:
            done.add(apply(flow, [entry]))
    except psycopg.Error as error:
        raise describe(error, subject=f"catch-up ({flow.name})") from error
    return done


def drain(flow: Flow, *, most: int = 5000, tenant: str | None = None, deadline: float | None = None) -> Batch:
    """Apply batches until everything captured before the call is applied, or waits to be tried again.

    `deadline` is in time.monotonic() seconds; after it the rest stays queued.
    """
    row = flow.queue.execute("SELECT max(id) FROM portal_capture.queue").fetchone()
    done = Batch()
    while row and row[0] is not None and (deadline is None or time.monotonic() < deadline):
        part = batch(flow, most=most, tenant=tenant, upto=row[0])
        done.add(part)
        if not part.entries:
            break
    return done


def apply(flow: Flow, entries: Sequence[Entry], *, whoever: bool = False) -> Batch:
    """Make the target agree with the source about these entries' keys; `whoever` owns their tenants if asked."""
    if entries[0].key is None:
        return _empty(flow, entries[0])
    keys = _by_table(entries)
    newest = {(e.table_name, tuple(e.key or ())): e.id for e in sorted(entries, key=lambda e: e.id)}
    for _ in range(_WIDENINGS):
        try:
            return _settle(flow, entries, _merge(flow, keys, newest, whoever=whoever), keys)
        except Widen as wider:
            for table, more in wider.keys.items():
                keys[table] = list(dict.fromkeys([*keys.get(table, []), *more]))
        except psycopg.Error as error:
            refusal = describe(error, subject=entries[0].table_name)
            if not blames_a_row(refusal):
                raise
            return _halves(flow, entries, str(refusal), whoever=whoever)
    return _settle(flow, entries, merging.merge(flow, keys, newest, whoever=whoever, widen=False), keys)


def _merge(flow: Flow, keys: dict[str, list[Key]], newest: dict[tuple[str, Key], int], *, whoever: bool) -> Merged:
    """Most batches hold no row that cannot be cast: ask for those only when one fails."""
    try:
        return merging.merge(flow, keys, newest, whoever=whoever, guarded=False)
    except psycopg.errors.DataError:
        return merging.merge(flow, keys, newest, whoever=whoever)


def _by_table(entries: Iterable[Entry]) -> dict[str, list[Key]]:
    found: dict[str, dict[Key, None]] = {}
    for entry in entries:
        found.setdefault(entry.table_name, {})[tuple(entry.key or ())] = None
    return {table: list(keys) for table, keys in found.items()}


def _halves(flow: Flow, entries: Sequence[Entry], why: str, *, whoever: bool) -> Batch:
    """Some row of the batch fails in a way no query foresaw: find it."""
    keys = [(table, key) for table, found in _by_table(entries).items() for key in found]
    if len(keys) == 1:
        table, key = keys[0]
        first = directions.siblings(flow.sides.plan, table)[0].target
        merged = Merged(collided={table: {key: (first, "cannot_be_stored", why)}})
        return _settle(flow, entries, merged, {table: [key]})
    first_half = set(keys[: len(keys) // 2])
    done = Batch()
    for wanted in (True, False):
        part = [e for e in entries if ((e.table_name, tuple(e.key or ())) in first_half) is wanted]
        done.add(apply(flow, part, whoever=whoever))
    return done


def _settle(flow: Flow, entries: Sequence[Entry], merged: Merged, keys: dict[str, list[Key]]) -> Batch:
    """The target has committed: entries that agree leave the queue, those that collided wait for their turn."""
    collided = [e for e in entries if tuple(e.key or ()) in merged.collided.get(e.table_name, {})]
    late = {e.id for e in collided if e.id and e.attempts + 1 >= MOST_ATTEMPTS and flow.name == "forward"}
    for entry in collided:
        table, reason, why = merged.collided[entry.table_name][tuple(entry.key or ())]
        if entry.id in late:
            _quarantine(flow, entry, table, reason, why)
        else:
            flow.queue.execute(queries("capture")["again"], {"ids": [entry.id], "error": why or reason})
    waiting = {entry.id for entry in collided} - late
    ids = [entry.id for entry in entries if entry.id and entry.id not in waiting]
    if ids:
        flow.queue.execute(queries("capture")["settled"], {"ids": ids})
    return Batch(
        entries=len(ids), written=merged.written, removed=merged.removed, collided=len(waiting),
        quarantined=merged.rejected + len(late), strays=merged.strays, touched=keys,
    )  # fmt: skip


def _quarantine(flow: Flow, entry: Entry, target: str, reason: str, why: str) -> None:
    table = flow.sides.table(target)
    rejected = staging.rejections(flow.sides, table, [list(entry.key or ())], reason, why)
    with flow.sides.iam.transaction():
        quarantine.set_aside(flow.sides, table, rejected)


def _empty(flow: Flow, entry: Entry) -> Batch:
    """The source table was truncated: what it no longer has goes."""
    try:
        removed = merging.empty(flow, entry.table_name)
    except psycopg.Error as error:
        refusal = describe(error, subject=entry.table_name)
        if not blames_a_row(refusal):
            raise
        flow.queue.execute(queries("capture")["again"], {"ids": [entry.id], "error": str(refusal)})
        return Batch(collided=1)
    flow.queue.execute(queries("capture")["settled"], {"ids": [entry.id]})
    return Batch(entries=1, removed=removed)


def enqueue_tenant(queue: Connection[Any], plan: Plan, source: str, column: str, tenant: str) -> None:
    """Ask for all of a tenant's rows in a source table to be looked up again."""
    table = directions.siblings(plan, source)[0]
    statement = SQL(
        "INSERT INTO portal_capture.queue (table_name, key, tenant) SELECT {}, {}, {} FROM {} WHERE {} = {}"
    )
    queue.execute(
        statement.format(
            SqlLiteral(source), compile.source_key(table), SqlLiteral(tenant), compile.source_table(plan, table),
            Identifier(column), SqlLiteral(tenant),
        )
    )  # fmt: skip


def only_writer(iam: Connection[Any]) -> None:
    """Keep catch-up from writing until the end of the transaction: whoever copies rows beside it takes this first."""
    merging.lock(iam, "forward")
