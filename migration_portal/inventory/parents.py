"""Parents that only the IAM has: which of those that legacy's rows refer to are not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal.plan import arriving, compile
from migration_portal.plan.model import Absent, Catalog, ForeignKey, Plan, Table

_MOST = 10_000
"""Different values of one column: of more the dry run tells."""


def with_absent(legacy: Connection[Any], iam: Connection[Any], plan: Plan, target: Catalog) -> Plan:
    """The plan whose tables say which parents the IAM does not have. Raises psycopg.Error."""
    return replace(
        plan,
        tables=tuple(replace(table, absent=tuple(_absent(legacy, iam, plan, table, target))) for table in plan.tables),
    )


def _absent(
    legacy: Connection[Any], iam: Connection[Any], plan: Plan, table: Table, target: Catalog
) -> Iterator[Absent]:
    filled = {each.target for each in plan.tables}
    for key in target[table.target].foreign_keys:
        if (
            len(key.columns) > 1
            or key.parent in filled
            or key.parent not in target
            or table.column(key.columns[0]) is None
        ):
            continue
        if values := _referred(legacy, plan, table, key, target):
            known = _known(iam, plan, key, values) | _given(iam, plan, key)
            if missing := tuple(value for value in values if value not in known):
                yield Absent(key.columns[0], key.parent, missing)


def _referred(legacy: Connection[Any], plan: Plan, table: Table, key: ForeignKey, target: Catalog) -> list[str]:
    statement = SQL("SELECT DISTINCT m.{name}::text FROM ({rows}) AS m WHERE m.{name} IS NOT NULL LIMIT {most}").format(
        name=Identifier(key.columns[0]), rows=arriving.mapped(plan, table, target), most=Literal(_MOST)
    )
    try:
        with legacy.transaction():
            return [row[0] for row in legacy.execute(statement)]
    except psycopg.DataError:
        return []  # an expression fails on some row: that is told elsewhere


def _known(iam: Connection[Any], plan: Plan, key: ForeignKey, values: list[str]) -> set[str]:
    name = Identifier(key.parent_columns[0])
    statement = SQL("SELECT {name}::text FROM {table} WHERE {name}::text = ANY({values})").format(
        name=name, table=Identifier(plan.target_schema, key.parent), values=Literal(values)
    )
    return {row[0] for row in iam.execute(statement)}


def _given(iam: Connection[Any], plan: Plan, key: ForeignKey) -> set[str]:
    """Those that the plan's rows will bring."""
    found: set[str] = set()
    for row in plan.rows:
        column = next((each for each in row.columns if each.name == key.parent_columns[0]), None)
        if row.target == key.parent and column is not None:
            given = iam.execute(SQL("SELECT ({})::text").format(compile.raw(column.sql))).fetchone()
            found |= {str(each) for each in given or ()}
    return found
