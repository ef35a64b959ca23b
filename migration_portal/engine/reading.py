"""Reading a range of the source: counting it, piping it, setting aside what the plan's rules name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from migration_portal.engine import quarantine
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.model import Table

_PIPE_BYTES = 256 * 1024


def pipe(sides: Sides, select: Composed, target: Composable, columns: Sequence[str]) -> int:
    """COPY the query's result from legacy into a table of the IAM, binary and unparsed. Returns the rows."""
    out = SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(select)
    into = SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, SQL(", ").join(map(Identifier, columns)))
    with sides.legacy.cursor() as reader, sides.iam.cursor() as writer:
        with reader.copy(out) as blocks, writer.copy(into) as sink:
            for block in _batched(blocks):
                sink.write(block)
        return writer.rowcount


def _batched(blocks: psycopg.Copy) -> Iterator[bytes]:
    """Gather the one-row messages of COPY TO into blocks worth a system call."""
    buffer = bytearray()
    for block in blocks:
        buffer += block
        if len(buffer) >= _PIPE_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def count(sides: Sides, table: Table, where: Composable) -> int:
    statement = SQL("SELECT count(*) FROM {} WHERE {}").format(compile.source_table(sides.plan, table), where)
    row = sides.legacy.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def set_rejected_aside(sides: Sides, table: Table, where: Composable) -> int:
    """Quarantine the rows of the range that the plan's reject rules name, as the legacy snapshot shows them."""
    if not table.reject:
        return 0
    statement = SQL(
        "SELECT {key}, {reason}, row_to_json({name})::text FROM {table} WHERE ({where}) AND {rejected}"
    ).format(
        key=compile.source_key(table),
        reason=compile.reject_reason(table),
        name=Identifier(table.source),
        table=compile.source_table(sides.plan, table),
        where=where,
        rejected=compile.rejected(table),
    )
    found = sides.legacy.execute(statement).fetchall()
    return quarantine.set_aside(sides, table, [Rejected(key, reason, row) for key, reason, row in found])
