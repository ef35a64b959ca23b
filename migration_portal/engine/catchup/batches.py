"""Catch-up: read a batch of captured keys, look up what those rows are now, and make the target agree.

The order of entries does not matter and repeating a batch is harmless, because the row's present
state is what is copied. Entries leave the queue only after the target has committed. A key that
collides stays queued and is tried again by itself, ever more rarely; what never settles is quarantined.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row

from migration_portal.engine import capture_queue, ledger, numbers, quarantine, source
from migration_portal.engine.catchup import groups, merging, whole
from migration_portal.engine.catchup.flow import Batch, Collision, Entry, Flow
from migration_portal.engine.catchup.work import Merged, Widen
from migration_portal.engine.errors import blames_a_row, describe
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key
from migration_portal.engine.transfer import Transfer

MOST_ATTEMPTS = 6
"""Then a row that collides is quarantined (about a minute). In reverse nothing is: it stays queued."""
_WIDENINGS = 3
_RETRIES = 2000
"""Tried again at once: what one change of a parent's key collides with."""


def batch(flow: Flow, *, most: int, tenant: str | None = None, upto: int | None = None) -> Batch:
    """Apply up to `most` entries, of one tenant (as the source writes it) or up to an entry if asked.

    Raises Refusal when a database fails; then the entries are still queued.
    """
    started = time.monotonic()
    done = Batch()
    about = {"tenant": tenant, "upto": upto, "most": most}
    with flow.queue.cursor(row_factory=class_row(Entry)) as cursor:
        fresh = cursor.execute(queries("queue")["next"], about).fetchall()
        again = cursor.execute(queries("queue")["next_again"], about | {"most": _RETRIES}).fetchall()
    known = set(flow.transfer.plan.sources)
    if unknown := [entry for entry in fresh + again if entry.table_name not in known]:
        # Of an earlier run's plan, or a later one's: what is nobody's here must keep nothing else waiting.
        flow.queue.execute(queries("queue")["settled"], {"ids": [entry.id for entry in unknown]})
        done.add(Batch(entries=len(unknown)))
        fresh, again = ([entry for entry in some if entry.table_name in known] for some in (fresh, again))
    try:
        if keyed := [entry for entry in fresh if entry.key is not None]:
            done.add(apply(flow, keyed))
        done.seconds = time.monotonic() - started
        # Rows that failed for want of each other succeed together.
        if keyed := [entry for entry in again if entry.key is not None]:
            done.add(apply(flow, keyed))
        for entry in [entry for entry in [*fresh, *again] if entry.key is None]:
            done.add(apply(flow, [entry]))
    except psycopg.Error as error:
        raise describe(error, subject=f"catch-up ({flow.direction})") from error
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


def catch_up(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Apply what changed while the tables were copied, and mark the chunk done. What comes later is the loop's."""
    assert transfer.queue is not None
    done = drain(Flow("forward", transfer, transfer.queue, transfer.target, settled=False))
    outcome = Outcome(read=done.entries, written=done.written - done.removed)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def apply(flow: Flow, entries: Sequence[Entry], *, any_home: bool = False) -> Batch:
    """Make the target agree with the source about these entries' keys; `any_home`: even if it does not own their tenants."""
    if flow.direction == "reverse":
        numbers.give(flow.transfer, flow.ledger)
    if entries[0].key is None:
        return _whole(flow, entries[0])
    keys = _by_table(entries)
    of_key: dict[tuple[str, Key], list[Entry]] = {}
    for entry in entries:
        of_key.setdefault((entry.table_name, entry.key_tuple), []).append(entry)
    for name, of_table in keys.items():
        members = groups.members(flow.transfer, name, of_table)
        for member, standing in members.items():
            of_key.setdefault((name, member), []).extend(entry for key in standing for entry in of_key[name, key])
        of_table += members.keys() - set(of_table)
    for _ in range(_WIDENINGS):
        try:
            return _settle(flow, entries, _merge(flow, keys, of_key, any_home=any_home), keys, of_key)
        except Widen as wider:
            for table, more in wider.keys.items():
                keys[table] = list(dict.fromkeys([*keys.get(table, []), *more]))
        except psycopg.Error as error:
            refusal = describe(error, subject=entries[0].table_name)
            if not blames_a_row(refusal):
                raise
            return _halves(flow, entries, str(refusal), any_home=any_home)
    return _settle(flow, entries, merging.merge(flow, keys, of_key, any_home=any_home, widen=False), keys, of_key)


def _merge(
    flow: Flow, keys: dict[str, list[Key]], of_key: Mapping[tuple[str, Key], Sequence[Entry]], *, any_home: bool
) -> Merged:
    """Most batches hold no row that cannot be cast: ask for those only when one fails.

    What may be brought over whoever owns it is the row that was named, and no other.
    """
    try:
        return merging.merge(flow, keys, of_key, any_home=any_home, widen=not any_home, guarded=False)
    except psycopg.errors.DataError:
        return merging.merge(flow, keys, of_key, any_home=any_home, widen=not any_home)


def _by_table(entries: Iterable[Entry]) -> dict[str, list[Key]]:
    keys: dict[str, dict[Key, None]] = {}
    for entry in entries:
        keys.setdefault(entry.table_name, {})[entry.key_tuple] = None
    return {table: list(its_keys) for table, its_keys in keys.items()}


def _halves(flow: Flow, entries: Sequence[Entry], why: str, *, any_home: bool) -> Batch:
    """Some row of the batch fails in a way no query foresaw: find it."""
    keys = [(table, key) for table, its_keys in _by_table(entries).items() for key in its_keys]
    if len(keys) == 1:
        table, key = keys[0]
        if _stands_for_nothing(flow, table, key):
            return _settle(flow, entries, Merged(), {table: [key]}, {(table, key): entries})
        first = flow.transfer.plan.siblings(table)[0].target
        merged = Merged(collided={table: {key: (first, "cannot_be_stored", why)}})
        if source.is_open(key) and all(entry.id for entry in entries):
            merged = _only_gone(flow, entries, table, key) or merged
        return _settle(flow, entries, merged, {table: [key]}, {(table, key): entries})
    first_half = set(keys[: len(keys) // 2])
    done = Batch()
    for wanted in (True, False):
        part = [e for e in entries if ((e.table_name, e.key_tuple) in first_half) is wanted]
        done.add(apply(flow, part, any_home=any_home))
    return done


def _stands_for_nothing(flow: Flow, name: str, key: Key) -> bool:
    """Whether the source has no such row any more, and none that it had could have arrived: its key there cannot be computed."""
    transfer = flow.transfer
    tables = transfer.plan.siblings(name)
    if (
        flow.direction != "forward"
        or source.is_open(key)
        or any(source.in_target(transfer, each, [key]) for each in tables)
    ):
        return False
    with transfer.source.transaction():
        there = source.there(transfer, tables[0], [key])
    if not there:
        about = {"run": transfer.run, "source": name, "key": list(key)}
        transfer.target.execute(queries("catchup")["went"], about)
    return not there


def _only_gone(flow: Flow, entries: Sequence[Entry], table: str, key: Key) -> Merged | None:
    """Some row of those that the key stands for cannot be stored: what is gone goes, and each that is there is looked up by itself.

    None where what is gone cannot go.
    """
    members = list(groups.members(flow.transfer, table, [key]))
    of_key = {(table, each): entries for each in (key, *members)}
    try:
        merged = merging.merge(flow, {table: [key, *members]}, of_key, widen=False, only_gone=True)
    except psycopg.Error as error:
        if not blames_a_row(describe(error, subject=table)):
            raise
        return None
    capture_queue.enqueue(flow.queue, table, members, entries[0].tenant)
    return merged


def _settle(
    flow: Flow,
    entries: Sequence[Entry],
    merged: Merged,
    keys: dict[str, list[Key]],
    of_key: Mapping[tuple[str, Key], Sequence[Entry]],
) -> Batch:
    """The target has committed: entries that agree leave the queue, those that collided wait for their turn."""
    waiting, late = set[int](), set[int]()
    unsettled: dict[tuple[str, Key], Collision] = {}
    for named, collision in merged.each_collided():
        table, reason, why = collision
        for entry in of_key.get(named, ()):
            if not entry.id:
                unsettled[named] = collision
            elif entry.attempts + 1 >= MOST_ATTEMPTS and flow.direction == "forward" and not source.is_open(named[1]):
                _quarantine(flow, table, named[1], reason, why)
                late.add(entry.id)
            elif entry.id not in waiting:
                flow.queue.execute(queries("queue")["again"], {"ids": [entry.id], "error": why or reason})
                waiting.add(entry.id)
    ids = [entry.id for entry in entries if entry.id and entry.id not in waiting]
    if ids:
        flow.queue.execute(queries("queue")["settled"], {"ids": ids})
    return Batch(
        entries=len(ids), written=merged.written, removed=merged.removed, collided=len(waiting) + bool(unsettled),
        quarantined=merged.rejected + len(late), strays=merged.strays, touched=keys, unsettled=unsettled,
    )  # fmt: skip


def _quarantine(flow: Flow, target: str, key: Key, reason: str, why: str) -> None:
    table = flow.transfer.table(target)
    rejected = quarantine.rejections(flow.transfer, table, [list(key)], reason, why)
    with flow.transfer.target.transaction():
        quarantine.add(flow.transfer, table, rejected)


def _whole(flow: Flow, entry: Entry) -> Batch:
    """A change whose key nobody knows: remove what the source no longer has, and look up every row that it has."""
    done = Batch()
    try:
        with flow.queue.transaction():
            if flow.queue.execute(queries("queue")["whole"], {"id": entry.id}).fetchone() is None:
                return done
            merged = whole.empty(flow, entry.table_name, entry)
            done.removed, done.strays = merged.removed, merged.strays
            done.unsettled |= dict(merged.each_collided())
            for keys in source.all_keys(flow.transfer, entry.table_name):
                done.add(apply(flow, [Entry(0, entry.table_name, key) for key in keys]))
            capture_queue.enqueue(flow.queue, entry.table_name, _not_known(flow, entry.table_name, done.unsettled))
            flow.queue.execute(queries("queue")["settled"], {"ids": [entry.id]})
    except psycopg.Error as error:
        refusal = describe(error, subject=entry.table_name)
        if not blames_a_row(refusal):
            raise
        flow.queue.execute(queries("queue")["again"], {"ids": [entry.id], "error": str(refusal)})
        return Batch(collided=1)
    done.entries, done.whole, done.touched, done.unsettled = 1, 1, {}, {}
    return done


def _not_known(flow: Flow, name: str, unsettled: Iterable[tuple[str, Key]]) -> set[Key]:
    """Those of these keys that are to be tried again: all but those in quarantine, which have been."""
    keys = {key for _, key in unsettled}
    if not keys or flow.direction == "reverse":
        return keys
    known = (
        tuple(key) for table in flow.transfer.plan.siblings(name) for key in quarantine.open_keys(flow.transfer, table)
    )
    return keys - set(known)


def only_writer(iam: Connection[Any]) -> None:
    """Keep catch-up from writing until the end of the transaction: whatever copies rows beside it takes this first."""
    merging.lock(iam, "forward")
