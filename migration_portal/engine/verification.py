"""Comparing both sides, read-only, on the mapped expressions.

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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier
from psycopg.sql import Literal as Value

from migration_portal.engine import capture, ledger, quarantine
from migration_portal.engine.boundaries import block_pieces
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.merge_work import pseudo
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides
from migration_portal.engine.source import keys_in
from migration_portal.plan import compile, directions
from migration_portal.plan.model import Table

BUCKETS = 1024
PIECE_BLOCKS = 8192
MOST_FINDINGS = 1000
"""Rows reported a table; the counts in the report go on."""
_LONGEST = 200
_SETTLING_SECONDS = 3.0
_ROW_KINDS = ["missing", "extra", "differs", "more"]


@dataclass(frozen=True)
class Difference:
    """A row that is not the same on both sides. `fields` maps a column to (legacy, iam) text, secrets masked."""

    kind: Literal["missing", "extra", "differs"]
    key: tuple[str, ...]
    fields: dict[str, tuple[str | None, str | None]]


def pieces(sides: Sides, table: Table, verification: int) -> list[NewChunk]:
    """Chunks that read both sides of the table, followed in the next step by `comparison`."""
    found: list[NewChunk] = []
    quick = int(same_hashes(sides))
    for side in ("legacy", "iam"):
        connection, name = _relation(sides, table, side)
        with connection.transaction():
            row = connection.execute(
                "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int", [name]
            ).fetchone()
        assert row is not None
        extra = {"verification": verification, "quick": quick}
        found += block_pieces("verify", table.target, int(row[0]), side=side, size=PIECE_BLOCKS, extra=extra)
    # Both sides at once from the start: two workers then read from two servers.
    return sorted(found, key=lambda chunk: chunk.spec["piece"])


def comparison(table: Table, verification: int) -> NewChunk:
    return NewChunk("compare", table.target, spec={"verification": verification})


def _relation(sides: Sides, table: Table, side: str) -> tuple[Connection[Any], str]:
    if side == "iam":
        return sides.iam, sides.iam_name(sides.schema, table.target)
    return sides.legacy, compile.source_table(sides.plan, table).as_string(sides.legacy)


def same_hashes(sides: Sides) -> bool:
    """Whether both servers hash alike. Only md5 is promised across versions, so ask them instead of guessing."""
    probe = (
        "SELECT hash_record_extended(ROW('a'::text, 1, 2::bigint, true, 'epoch'::timestamptz,"
        " '00000000-0000-4000-8000-000000000001'::uuid, '{\"a\": [1, null]}'::jsonb, 1.5::numeric, '2000-01-01'::date), 0)"
    )
    with sides.legacy.transaction(), sides.iam.transaction():
        return sides.legacy.execute(probe).fetchone() == sides.iam.execute(probe).fetchone()


def sum_piece(sides: Sides, chunk: Chunk) -> Outcome:
    """Add up one piece of one side, and mark the chunk done."""
    table, spec = sides.table(chunk.table_name), chunk.spec
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        try:
            # Rows that cannot be cast are in quarantine, and left out by key: only a new one would fail.
            buckets, counts, hashes = _sums(sides, table, spec, guarded=False)
        except psycopg.errors.DataError:
            if spec["side"] == "iam":
                raise
            buckets, counts, hashes = _sums(sides, table, spec, guarded=True)
        sides.iam.execute(
            queries("verification")["sums"],
            {
                "run": sides.run, "verification": spec["verification"], "table": table.target, "side": spec["side"],
                "piece": spec["piece"], "buckets": buckets, "counts": counts, "hashes": hashes,
            },
        )  # fmt: skip
        outcome = Outcome(read=sum(counts))
        ledger.done(sides.iam, chunk, outcome)
    return outcome


def _sums(sides: Sides, table: Table, spec: dict[str, Any], *, guarded: bool) -> tuple[list[Any], list[Any], list[Any]]:
    rows = select_rows(sides, table, spec["side"], _blocks(spec["first"], spec["end"]), guarded=guarded)
    statement = SQL(
        "SELECT coalesce(array_agg(bucket), '{{}}'), coalesce(array_agg(count), '{{}}'), coalesce(array_agg(hash), '{{}}')"
        " FROM (SELECT {bucket} AS bucket, count(*) AS count, sum(hash) AS hash"
        " FROM (SELECT {hash} AS hash FROM ({rows}) AS mapped OFFSET 0) AS hashed GROUP BY 1) AS sums"
    ).format(bucket=_BUCKET, hash=_hash(sides, table, spec["quick"]), rows=rows)
    connection = sides.legacy if spec["side"] == "legacy" else sides.iam
    with connection.transaction():
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def compare(sides: Sides, chunk: Chunk) -> Outcome:
    """Descend into buckets that differ, record findings, and mark the chunk done."""
    table, verification = sides.table(chunk.table_name), chunk.spec["verification"]
    about = {"run": sides.run, "verification": verification, "table": table.target}
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        buckets = [row[0] for row in sides.iam.execute(queries("verification")["differing"], about)]
        differences = differences_in(sides, table, buckets) if buckets else []
        sides.iam.execute(queries("verification")["forget"], about | {"kinds": _ROW_KINDS})
        record(sides, table, verification, differences)
        ledger.done(sides.iam, chunk, Outcome(read=len(differences)))
    return Outcome(read=len(differences))


def differences_in(sides: Sides, table: Table, buckets: Sequence[int]) -> list[Difference]:
    """The rows of these buckets that differ, looked at twice."""
    keys = {side: _keyed_hashes(sides, table, side, buckets) for side in ("legacy", "iam")}
    suspects = [
        key for key in keys["legacy"].keys() | keys["iam"].keys() if keys["legacy"].get(key) != keys["iam"].get(key)
    ]
    if not suspects:
        return []
    ours = set(ledger.xids(sides.iam, sides.run, table.target))
    found = look_again(sides, table, suspects, ours)
    if found and sides.queue is not None:
        found = _persistent(sides, table, found, ours)
    return sorted(found, key=lambda d: d.key)


def _persistent(sides: Sides, table: Table, found: list[Difference], ours: set[str]) -> list[Difference]:
    """Of rows that differ while legacy is being written to, those that differ for no such reason.

    A key whose change is captured but not applied differs rightly; one that has no such entry and
    differs in the same way once what was captured has passed was lost.
    """
    assert sides.queue is not None
    last = capture.lag(sides.queue).last
    until = time.monotonic() + _SETTLING_SECONDS
    while last is not None and time.monotonic() < until:
        row = sides.queue.execute(
            "SELECT EXISTS (SELECT FROM portal_capture.queue WHERE id <= %s AND attempts = 0)", [last]
        ).fetchone()
        if not row or not row[0]:
            break
        time.sleep(0.1)
    again = {d.key: d for d in look_again(sides, table, [d.key for d in found], ours)}
    return [d for d in found if again.get(d.key) == d]


def look_again(sides: Sides, table: Table, keys: Sequence[tuple[str, ...]], ours: set[str]) -> list[Difference]:
    """Read these target keys on both sides now and compare field by field.

    Rows that only the IAM has are differences when this run wrote them; others were there before it.
    """
    found: list[Difference] = []
    owned = directions.owner(table, sides.source, sides.target) if sides.queue else []
    for place in range(0, len(keys), 2000):
        batch = [list(key) for key in keys[place : place + 2000]]
        with sides.legacy.transaction():  # one snapshot of the rows and of what waits to be applied
            legacy = _fields(sides, table, "legacy", batch)
            pending = _pending(sides, table)
        iam = _fields(sides, table, "iam", batch)
        for key in map(tuple, batch):
            theirs, mine = legacy.get(key), iam.get(key)
            if key[: len(owned)] in pending:
                continue
            if theirs is not None and mine is None:
                found.append(Difference("missing", key, {}))
            elif theirs is None and mine is not None and mine[0] in ours:
                found.append(Difference("extra", key, {}))
            elif theirs and mine and (fields := differing_fields(table, theirs[1], mine[1])):
                found.append(Difference("differs", key, fields))
    return found


def _pending(sides: Sides, table: Table) -> set[tuple[str, ...]]:
    """The part of the target's key that follows from legacy's, of keys captured and not yet applied."""
    if sides.queue is None:
        return set()
    found = sides.legacy.execute(
        "SELECT DISTINCT key FROM portal_capture.queue WHERE table_name = %s AND key IS NOT NULL", [table.source]
    )
    keys = [tuple(row[0]) for row in found]
    return {tuple(map(str, row[:-1])) for row in sides.legacy.execute(pseudo(sides, table, keys))} if keys else set()


def record(sides: Sides, table: Table, verification: int, differences: Sequence[Difference]) -> None:
    """Store differences as findings: one a row, or one a field where fields differ."""
    rows: list[dict[str, Any]] = []
    for difference in differences[:MOST_FINDINGS]:
        fields = difference.fields or {"": (None, None)}
        for field, (legacy, iam) in fields.items():
            rows.append(_finding(sides, table, verification, difference.kind, list(difference.key), field, legacy, iam))
    if len(differences) > MOST_FINDINGS:
        more = str(len(differences) - MOST_FINDINGS)
        rows.append(_finding(sides, table, verification, "more", [], "", more, None))
    if rows:
        with sides.iam.cursor() as cursor:
            cursor.executemany(queries("verification")["found"], rows)


def _finding(
    sides: Sides,
    table: Table,
    verification: int,
    kind: str,
    key: list[str],
    field: str,
    legacy: str | None,
    iam: str | None,
) -> dict[str, Any]:
    return {
        "run": sides.run, "verification": verification, "table": table.target, "kind": kind, "key": key,
        "field": field, "legacy": legacy, "iam": iam, "severity": "error",
    }  # fmt: skip


# --- SQL ----------------------------------------------------------------------------------


def select_rows(sides: Sides, table: Table, side: str, where: Composable, *, guarded: bool = True) -> Composable:
    """SELECT the mapped columns of one side's rows. Quarantined legacy rows are accounted for, so they are left out."""
    info = sides.info(table)
    if sides.away and not table.reverse:
        where = SQL("({}) AND {}").format(where, _here(sides, table, side))
    if side == "iam":
        columns = SQL(", ").join(map(Identifier, _compared(sides, table)))
        return SQL("SELECT {}, xmin::text AS portal_xmin FROM {} WHERE {}").format(
            columns, sides.target_table(table.target), where
        )
    absent = quarantine.open_keys(sides, table)
    if absent:
        where = SQL("({}) AND NOT {}").format(where, keys_in([Identifier(k) for k in table.key], absent))
    return compile.mapped(sides.plan, table, info, where=where, extra=[SQL("'' AS portal_xmin")], guarded=guarded)


def _here(sides: Sides, table: Table, side: str) -> Composable:
    """Rows of tenants at home in legacy: a table without a way back is the IAM's alone for the others."""
    if side == "legacy":
        tenant = directions.tenant_of_source_row(sides.plan, table.source)
    else:
        schema = Identifier(sides.schema)
        tenant = directions.target_tenant(sides.plan, table, sides.target, schema, table.target)
    return directions.at_home(tenant, sides.away, by_default=True)


def _compared(sides: Sides, table: Table) -> list[str]:
    """The columns to compare: all of a table we loaded; in a table in use, the plan's defaults belong to the IAM."""
    if not sides.away and ledger.modes(sides.iam, sides.run).get(table.target) == "load":
        return list(table.column_names)
    return [column.name for column in table.columns if not column.default]


def _blocks(first: int, end: int | None) -> Composable:
    below = SQL(" AND ctid < {}::tid").format(Value(f"({end},0)")) if end is not None else SQL("")
    return SQL("ctid >= {}::tid{}").format(Value(f"({first},0)"), below)


_BUCKET = SQL("(hash & {})::int").format(Value(BUCKETS - 1))


def _hash(sides: Sides, table: Table, quick: int) -> Composable:
    return row_hash(compile.comparable(_compared(sides, table), sides.info(table)), quick)


def row_hash(row: Composable, quick: int) -> Composable:
    """64 bits of a ROW(…): by the server's own hash where both servers hash alike (`quick`), else by md5."""
    if quick:
        return SQL("hash_record_extended({}, 0)").format(row)
    return SQL("('x' || substr(md5({}::text), 1, 16))::bit(64)::bigint").format(row)


def _keyed_hashes(sides: Sides, table: Table, side: str, buckets: Sequence[int]) -> dict[tuple[str, ...], int]:
    quick = int(same_hashes(sides))
    statement = SQL(
        "SELECT key, hash FROM (SELECT {key} AS key, {hash} AS hash FROM ({rows}) AS mapped OFFSET 0) AS hashed"
        " WHERE {bucket} = ANY({buckets})"
    ).format(
        key=compile.target_key(sides.info(table).primary_key),
        hash=_hash(sides, table, quick),
        rows=select_rows(sides, table, side, SQL("true")),
        bucket=_BUCKET,
        buckets=Value(list(buckets)),
    )
    connection, _ = _relation(sides, table, side)
    with connection.transaction():
        return {tuple(key): value for key, value in connection.execute(statement)}


def _fields(
    sides: Sides, table: Table, side: str, keys: Sequence[list[str]]
) -> dict[tuple[str, ...], tuple[str, dict[str, str | None]]]:
    """Per key that is there: the row's xmin, and its compared columns as text."""
    primary_key, columns = sides.info(table).primary_key, _compared(sides, table)
    statement = SQL("SELECT {key}, portal_xmin, ARRAY[{values}] FROM ({rows}) AS mapped WHERE {wanted}").format(
        key=compile.target_key(primary_key),
        values=SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in columns),
        rows=select_rows(sides, table, side, SQL("true")),
        wanted=keys_in([Identifier(name) for name in primary_key], keys),
    )
    connection, _ = _relation(sides, table, side)
    with connection.transaction():
        found = connection.execute(statement).fetchall()
    return {tuple(key): (xmin, dict(zip(columns, values, strict=True))) for key, xmin, values in found}


def differing_fields(
    table: Table, legacy: dict[str, str | None], iam: dict[str, str | None]
) -> dict[str, tuple[str | None, str | None]]:
    return {
        name: ("(secret)", "(secret)") if name in table.secret else (_shown(legacy[name]), _shown(iam[name]))
        for name in legacy
        if legacy[name] != iam[name]
    }


def _shown(value: str | None) -> str | None:
    return value if value is None or len(value) <= _LONGEST else f"{value[:_LONGEST]}… ({len(value)} characters)"
