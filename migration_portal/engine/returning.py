"""Which columns legacy can compute there and back by itself: only those can be kept as it wrote them, and counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Literal

from migration_portal.plan import compile, round_trip
from migration_portal.plan.model import Catalog, Column, Plan, Table


def computable(legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog) -> list[Column]:
    """Of the reverse columns that may come back as something else. The plan, the table and the catalogs are the forward ones."""
    return [
        column
        for column in round_trip.uncertain(table, target[table.target])
        if _plannable(legacy, plan, table, column, source, target)
    ]


def keeping(legacy: Connection[Any], plan: Plan, back: Plan, source: Catalog, target: Catalog) -> Plan:
    """The plan that leads back, with the columns of which legacy keeps its own where the IAM changed nothing."""
    tables = (
        replace(table, kept=tuple(each.name for each in computable(legacy, plan, table.forward, source, target)))
        if table.forward
        else table
        for table in back.tables
    )
    return replace(back, tables=tuple(tables))


def failing(
    iam: Connection[Any], back: Plan, legacy: Catalog, *, rows: int = 0
) -> dict[str, tuple[Column, psycopg.Error]]:
    """Reverse expressions that the IAM cannot compute ("table.column" → the column and why), tried on so many of its rows."""

    def error_of(table: Table, *columns: Column) -> psycopg.Error | None:
        names = SQL(", ").join(
            SQL("({})::{}").format(compile.raw(each.sql), compile.raw(legacy[table.target].columns[each.name].sent_as))
            for each in columns
        )
        tried = SQL("SELECT {} FROM {} LIMIT {}").format(names, compile.source_table(back, table), Literal(rows))
        try:
            with iam.transaction():
                iam.execute(tried)
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            return error
        return None

    return {
        f"{table.target}.{column.name}": (column, error)
        for table in back.tables
        if error_of(table, *table.columns) is not None
        for column in table.columns
        if (error := error_of(table, column)) is not None
    }


def _plannable(
    legacy: Connection[Any], plan: Plan, table: Table, column: Column, source: Catalog, target: Catalog
) -> bool:
    statement = round_trip.count(plan, table, [column], source, target, SQL("true"))
    try:
        with legacy.transaction():
            legacy.execute(SQL("EXPLAIN {}").format(statement))
    except (psycopg.ProgrammingError, psycopg.DataError):
        return False
    return True
