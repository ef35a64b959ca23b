"""Comparing both sides of a whole table, read-only.

Each side is read in pieces of blocks, in any order and by any worker. A piece hashes each row's
mapped values once, and adds up rows and hashes per bucket, which is a part of the same hash; the
sums are order-free, so the pieces of a side simply add up and the sides compare bucket by bucket.
A row that differs disturbs its bucket on each side, so reading the buckets that differ again, key
by key, finds both its versions. A key that differs is looked at once more before it becomes a
finding: what was in flight the first time has settled.

Pieces are blocks and not key ranges because a range of legacy text ids has no counterpart
among uuids: case and collation order them differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import blocks, capture_queue, ledger
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key, Named, by_source_key, in_target, keys_in
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import rows
from migration_portal.engine.verify.rows import SIDES, Difference, Side, connection_of
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Table

BUCKETS = 1024
PIECE_BLOCKS = 8192
_KEYS_AT_ONCE = 2000
_SETTLING_SECONDS = 3.0
_LOOKS = 5
"""At a row that differs otherwise each time: it is being written while both sides are read."""
_ROW_KINDS = ["missing", "extra", "differs", "more"]
_BUCKET = SQL("(hash & {})::int").format(Literal(BUCKETS - 1))


def pieces(transfer: Transfer, table: Table, verification: int) -> list[NewChunk]:
    """Chunks that read both sides of the table; the next step compares what they add up to."""
    chunks: list[NewChunk] = []
    extra = {"verification": verification, "quick": int(rows.same_hashes(transfer))}
    for side in SIDES:
        count = blocks.count(connection_of(transfer, side), _name(transfer, table, side))
        chunks += blocks.pieces("verify", table.target, count, side=side, size=PIECE_BLOCKS, extra=extra)
    # Both sides at once from the start: two workers then read from two servers.
    return sorted(chunks, key=lambda chunk: chunk.spec["piece"])


def _name(transfer: Transfer, table: Table, side: Side) -> str:
    if side == "iam":
        return transfer.quoted(transfer.schema, table.target)
    return compile.source_table(transfer.plan, table).as_string(transfer.source)


def sum_piece(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Add up one piece of one side, and mark the chunk done."""
    table, spec = transfer.table(chunk.table_name), chunk.spec
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        try:
            # Rows that cannot be cast are in quarantine, and left out by key: only a new one would fail.
            buckets, counts, hashes = _sums(transfer, table, chunk, guarded=False)
        except psycopg.errors.DataError:
            if spec["side"] == "iam":
                raise
            buckets, counts, hashes = _sums(transfer, table, chunk, guarded=True)
        transfer.target.execute(
            queries("verification")["sums"],
            {
                "run": transfer.run, "verification": spec["verification"], "table": table.target, "side": spec["side"],
                "piece": spec["piece"], "buckets": buckets, "counts": counts, "hashes": hashes,
            },
        )  # fmt: skip
        outcome = Outcome(read=sum(counts))
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def _sums(transfer: Transfer, table: Table, chunk: Chunk, *, guarded: bool) -> tuple[list[Any], list[Any], list[Any]]:
    side: Side = chunk.spec["side"]

    def statement(where: Composable) -> Composed:
        of_piece = SQL("({}) AND {}").format(blocks.condition(chunk), where)
        selected = rows.select_rows(transfer, table, side, of_piece, guarded=guarded)
        return queries("verification")["sum_piece"].format(
            bucket=_BUCKET, hash=_hash(transfer, table, chunk.spec["quick"]), rows=selected
        )

    [row] = _selected(transfer, table, side, statement) if guarded else _asked(transfer, side, statement(SQL("true")))
    return row[0], row[1], row[2]


def _selected(transfer: Transfer, table: Table, side: Side, statement: Callable[[Composable], Composed]) -> list[Any]:
    """What the statement over the side's rows that a condition names returns.

    A row of legacy's that cannot be cast is left out where a change of it waits: it will be quarantined.
    """
    try:
        return _asked(transfer, side, statement(SQL("true")))
    except psycopg.errors.DataError:
        if side == "iam" or transfer.queue is None:
            raise
        captured = transfer.source.execute(queries("queue")["captured_keys"], {"table": table.source})
        if not (keys := [row[0] for row in captured if row[0] is not None]):
            raise
        return _asked(transfer, side, statement(SQL("NOT {}").format(by_source_key(table, keys))))


def _asked(transfer: Transfer, side: Side, statement: Composed) -> list[Any]:
    connection = connection_of(transfer, side)
    with connection.transaction():
        return connection.execute(statement).fetchall()


def compare(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Descend into buckets that differ, record findings, and mark the chunk done."""
    table, verification = transfer.table(chunk.table_name), chunk.spec["verification"]
    about = {"run": transfer.run, "verification": verification, "table": table.target}
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        buckets = [row[0] for row in transfer.target.execute(queries("verification")["differing"], about)]
        differences = differences_in(transfer, table, buckets) if buckets else []
        transfer.target.execute(queries("verification")["forget"], about | {"kinds": _ROW_KINDS})
        rows.record(transfer, table, verification, differences)
        ledger.done(transfer.target, chunk, Outcome(read=len(differences)))
    return Outcome(read=len(differences))


def differences_in(transfer: Transfer, table: Table, buckets: Sequence[int]) -> list[Difference]:
    """The rows of these buckets that differ, looked at twice."""
    legacy, iam = (_keyed_hashes(transfer, table, side, buckets) for side in SIDES)
    suspects = [key for key in legacy.keys() | iam.keys() if legacy.get(key) != iam.get(key)]
    if not suspects:
        return []
    ours = set(ledger.xids_of(transfer.target, transfer.runs, table.target))
    differences = look_again(transfer, table, suspects, ours)
    if differences and transfer.queue is not None:
        differences = _persistent(transfer, table, differences, ours)
    return sorted(differences, key=lambda d: d.key)


def _persistent(transfer: Transfer, table: Table, differences: list[Difference], ours: set[str]) -> list[Difference]:
    """Of rows that differ while legacy is being written to, those that differ for no such reason.

    A key whose change is captured but not applied differs rightly; one that has no such entry and differs in the same way
    once what was captured has passed was lost, or differs in some way however often it is looked at.
    """
    assert transfer.queue is not None
    lasting: list[Difference] = []
    last = capture_queue.lag(transfer.queue).last
    until = time.monotonic() + _SETTLING_SECONDS
    while not capture_queue.applied(transfer.queue, last) and time.monotonic() < until:
        time.sleep(0.1)
    for _ in range(_LOOKS):
        again = {d.key: d for d in look_again(transfer, table, [d.key for d in differences], ours)}
        lasting += [d for d in differences if again.get(d.key) == d]
        differences = [again[d.key] for d in differences if again.get(d.key, d) != d]
    return lasting + differences


def look_again(transfer: Transfer, table: Table, keys: Sequence[Key], ours: set[str]) -> list[Difference]:
    """Read these target keys on both sides now and compare field by field.

    Rows that only the IAM has are differences when a run of the plan wrote them: legacy has lost them, or a rule keeps them out by
    now. Others never were legacy's.
    """
    differences: list[Difference] = []
    owned = (
        directions.owner(table, transfer.source_catalog, transfer.target_catalog) if transfer.queue is not None else []
    )
    places = [transfer.info(table).primary_key.index(column.name) for column in owned]
    for place in range(0, len(keys), _KEYS_AT_ONCE):
        batch = keys[place : place + _KEYS_AT_ONCE]
        with transfer.source.transaction():  # one snapshot of the rows and of what waits to be applied
            legacy = _fields(transfer, table, "legacy", batch)
            pending = _pending(transfer, table)
        back = flowing_back(transfer, table, batch)
        iam = _fields(transfer, table, "iam", batch)
        back |= flowing_back(transfer, table, batch)  # what was written between the two reads
        for key in batch:
            if pending is None or [key[each] for each in places] in pending or key in back:
                continue
            if difference := _difference(table, key, legacy.get(key), iam.get(key), ours):
                differences.append(difference)
    return differences


_Row = tuple[str, dict[str, str | None]]
"""A row's xmin, and its compared columns as text."""


def _difference(
    table: Table, key: tuple[str, ...], legacy: _Row | None, iam: _Row | None, ours: set[str]
) -> Difference | None:
    if legacy is not None and iam is None:
        return Difference("missing", key, {})
    if legacy is None and iam is not None and iam[0] in ours:
        return Difference("extra", key, {})
    if legacy and iam and (fields := rows.differing_fields(table, legacy[1], iam[1])):
        return Difference("differs", key, fields)
    return None


def _pending(transfer: Transfer, table: Table) -> Named | None:
    """The part of the target's key that follows from legacy's, of keys captured and not yet applied; None for all."""
    if transfer.queue is None:
        return Named([])
    captured = transfer.source.execute(queries("queue")["captured_keys"], {"table": table.source})
    keys = [row[0] for row in captured]
    if None in keys:
        return None
    if not keys:
        return Named([])
    return Named(target for target, _ in in_target(transfer, table, keys))


def flowing_back(transfer: Transfer, table: Table, keys: Collection[Key]) -> set[Key]:
    """Those of these keys that were written in the IAM for tenants at home there, and not brought to legacy yet."""
    if not (transfer.in_iam and table.returns):
        return set()
    back = capture_queue.waiting(transfer.target, table.target, keys, whole=False)
    return back | _at_home_in_iam(transfer, table, keys) if capture_queue.whole(transfer.target, table.target) else back


def _at_home_in_iam(transfer: Transfer, table: Table, keys: Collection[Key]) -> set[Key]:
    """Those of these keys whose row, on either side, is of a tenant at home in the IAM."""
    names, schema = transfer.info(table).primary_key, Identifier(transfer.schema)
    tenant = belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t")
    rows_of: dict[Side, Composable] = {
        "legacy": SQL("({})").format(rows.select_rows(transfer, table, "legacy", SQL("true"))),
        "iam": transfer.target_table(table.target),
    }
    found: set[Key] = set()
    for side in SIDES:
        statement = SQL("SELECT {} FROM {} AS t WHERE {} AND {}").format(
            compile.target_key(names, "t"), rows_of[side], keys_in([Identifier(name) for name in names], list(keys)),
            belonging.at_home(tenant, transfer.in_iam, by_default=False),
        )  # fmt: skip
        connection = connection_of(transfer, side)
        with connection.transaction():
            found |= {tuple(row[0]) for row in connection.execute(statement)}
    return found


def _hash(transfer: Transfer, table: Table, quick: int) -> Composable:
    return rows.row_hash(compile.comparable(rows.compared_columns(transfer, table), transfer.info(table)), quick)


def _keyed_hashes(transfer: Transfer, table: Table, side: Side, buckets: Sequence[int]) -> dict[tuple[str, ...], int]:
    def statement(where: Composable) -> Composed:
        return queries("verification")["keyed_hashes"].format(
            key=compile.target_key(transfer.info(table).primary_key),
            hash=_hash(transfer, table, int(rows.same_hashes(transfer))),
            rows=rows.select_rows(transfer, table, side, where),
            bucket=_BUCKET,
            buckets=Literal(list(buckets)),
        )

    return {tuple(key): value for key, value in _selected(transfer, table, side, statement)}


def _fields(transfer: Transfer, table: Table, side: Side, keys: Sequence[Key]) -> dict[Key, _Row]:
    """Per key that is there, the row."""
    primary_key, columns = transfer.info(table).primary_key, rows.compared_columns(transfer, table)

    def statement(where: Composable) -> Composed:
        return SQL("SELECT {key}, portal_xmin, ARRAY[{values}] FROM ({rows}) AS mapped WHERE {wanted}").format(
            key=compile.target_key(primary_key),
            values=SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in columns),
            rows=rows.select_rows(transfer, table, side, where),
            wanted=keys_in([Identifier(name) for name in primary_key], keys),
        )

    selected = _selected(transfer, table, side, statement)
    return {tuple(key): (xmin, dict(zip(columns, values, strict=True))) for key, xmin, values in selected}
