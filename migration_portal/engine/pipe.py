"""COPY from one server into another, binary and unparsed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.sql import SQL, Composable, Composed, Identifier

_BLOCK_BYTES = 256 * 1024


def pipe(
    source: psycopg.Connection[Any],
    select: Composed,
    target: psycopg.Connection[Any],
    table: Composable,
    columns: Sequence[str],
) -> int:
    """COPY a query's result into a table of another server. Returns the rows. Raises psycopg.Error of either server."""
    statement = SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, SQL(", ").join(map(Identifier, columns)))
    with target.cursor() as writer:
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
            if len(buffer) >= _BLOCK_BYTES:
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
