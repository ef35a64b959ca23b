"""Rows that fail in a way that no query foresaw: found by halving, until each stands alone."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine.errors import blames_a_row, describe
from migration_portal.engine.pipe import pipe
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table
from migration_portal.refusal import Refusal


def stage(transfer: Transfer, table: Table, place: Composable, where: Composable) -> list[tuple[list[str], Refusal]]:
    """Bring the source rows that satisfy `where`, mapped, into a stage, in as few parts as go well.

    Returns the keys of those that cannot be mapped, and why. Raises psycopg.Error where no row is to blame, Refusal where no
    row is left.
    """
    try:
        with transfer.target.transaction(), transfer.source.transaction():
            extra = [compile.source_key(table)]
            select = compile.mapped(transfer.plan, table, transfer.info(table), where=where, extra=extra)
            pipe(transfer.source, select, transfer.target, place, [*table.column_names, "portal_source_key"])
        return []
    except psycopg.Error as error:
        refusal = describe(error, subject=table.target)
        if not blames_a_row(refusal):
            raise
    keys = _mappable_keys(transfer, table, where)
    if len(keys) > 1:
        middle = keys[len(keys) // 2]
        halves = [compile.key_range(table.key, None, middle), compile.key_range(table.key, middle, None)]
        parts = [SQL("({}) AND ({})").format(where, half) for half in halves]
        return [left for part in parts for left in stage(transfer, table, place, part)]
    if not keys:
        raise refusal
    return [(keys[0], refusal)]


def _mappable_keys(transfer: Transfer, table: Table, where: Composable) -> list[list[str]]:
    """The source keys of the range that no reject rule names, in order."""
    statement = SQL("SELECT {} FROM {} WHERE ({}) AND {} ORDER BY {}").format(
        compile.source_key(table),
        compile.source_table(transfer.plan, table),
        where,
        compile.kept(transfer.plan, table, where),
        SQL(", ").join(map(Identifier, table.key)),
    )
    return [row[0] for row in transfer.source.execute(statement)]


def unsaid(connection: Connection[Any], name: Composable, key: Composable, expression: Composable) -> list[list[str]]:
    """The keys, arrays of text, of the rows of which an expression cannot be said. Only reads. Raises psycopg.Error."""

    def among(where: Composable) -> list[list[str]]:
        try:
            with connection.transaction():
                connection.execute(SQL("SELECT count({}) FROM {} WHERE {}").format(expression, name, where))
            return []
        except psycopg.DataError:
            pass
        asked = SQL(
            "SELECT {}, count(*) OVER () FROM {} WHERE {} ORDER BY 1 OFFSET (SELECT count(*) / 2 FROM {} WHERE {}) LIMIT 1"
        )
        row = connection.execute(asked.format(key, name, where, name, where)).fetchone()
        if row is None or row[1] == 1:
            return [row[0]] if row else []
        halves = [SQL("({}) AND {} {} {}").format(where, key, SQL(side), Literal(row[0])) for side in ("<", ">=")]
        return [each for half in halves for each in among(half)]

    return among(SQL("true"))
