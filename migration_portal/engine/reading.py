"""Reading a range of the source: counting it, piping it, setting aside what the plan's rules name."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.sql import SQL, Composable, Composed, Identifier

from migration_portal.engine import quarantine
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.model import Table

_PIPE_BYTES = 256 * 1024


def pipe(
    source: psycopg.Connection[Any],
    select: Composed,
    into: psycopg.Connection[Any],
    target: Composable,
    columns: Sequence[str],
) -> int:
    """COPY a query's result from one server into a table of another, binary and unparsed. Returns the rows."""
    statement = SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, SQL(", ").join(map(Identifier, columns)))
    with into.cursor() as writer:
        with writer.copy(statement) as sink, closing(_copy_out(source, select)) as blocks:
            for block in blocks:
                sink.write(block)
        return writer.rowcount


def _copy_out(source: psycopg.Connection[Any], select: Composed) -> Generator[bytes]:
    """Blocks of a binary COPY TO, read through libpq itself.

    COPY TO sends one message a row; psycopg's reader waits and checks between messages, which
    costs more than the message does. Left early, the COPY is cancelled and the rest thrown away.
    """
    pgconn = source.pgconn
    statement = SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(select).as_bytes(source)
    started = pgconn.exec_(statement)
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(started, encoding="utf-8")
    read, buffer = pgconn.get_copy_data, bytearray()
    ended = False
    try:
        while True:
            size, row = read(0)
            if size < 0:
                ended = True
                break
            buffer += row
            if len(buffer) >= _PIPE_BYTES:
                yield bytes(buffer)
                buffer.clear()
    finally:
        if not ended:
            pgconn.get_cancel().cancel()
            while read(0)[0] > 0:
                pass
        failure = None
        while (result := pgconn.get_result()) is not None:
            failure = result if result.status == ExecStatus.FATAL_ERROR else failure
    if failure is not None:
        raise psycopg.errors.error_from_result(failure, encoding="utf-8")
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
