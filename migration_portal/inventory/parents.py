"""Parents that legacy does not bring: which of those that its rows refer to the IAM has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier, Literal

from migration_portal.plan import arriving, compile
from migration_portal.plan.model import Catalog, ForeignKey, Plan, Referred, Table

_MOST = 10_000
"""Different values of one column: of more the dry run tells."""


def with_parents(legacy: Connection[Any], iam: Connection[Any], plan: Plan, source: Catalog, target: Catalog) -> Plan:
    """The plan whose tables say which parents the IAM does not have, or has though no row brings them. Raises psycopg.Error."""
    for table in plan.tables:
        told = replace(
            table, absent=tuple(_absent(legacy, iam, plan, table, target)),
            present=tuple(_present(legacy, iam, plan, table, source, target)),
        )  # fmt: skip
        # What is found of a parent counts for its children.
        plan = replace(plan, tables=tuple(told if each.target == table.target else each for each in plan.tables))
    return plan


def _absent(
    legacy: Connection[Any], iam: Connection[Any], plan: Plan, table: Table, target: Catalog
) -> Iterator[Referred]:
    filled = {each.target for each in plan.tables}
    for key in target[table.target].foreign_keys:
        if (
            len(key.columns) > 1
            or key.parent in filled
            or key.parent not in target
            or table.column(key.columns[0]) is None
        ):
            continue
        if values := _referred(legacy, key, arriving.mapped(plan, table, target)):
            known = _known(iam, plan, key, values) | _given(iam, plan, key)
            if missing := tuple(value for value in values if value not in known):
                yield Referred(key.columns[0], key.parent, missing)


def _present(
    legacy: Connection[Any], iam: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog
) -> Iterator[Referred]:
    keys = [key for key in compile.planned_foreign_keys(plan, table, target) if len(key.columns) == 1]
    missing = dict(arriving.missing(plan, table, source, target))
    for key in keys:
        rows = SQL("SELECT child.* FROM ({}) AS child WHERE {}").format(
            arriving.fitting(plan, table, source, target), missing[key.parent]
        )
        if (values := _referred(legacy, key, rows)) and (known := _known(iam, plan, key, values)):
            yield Referred(key.columns[0], key.parent, tuple(sorted(known)))


def _referred(legacy: Connection[Any], key: ForeignKey, rows: Composed) -> list[str]:
    """Different values of the column that refers to the parent, of these mapped rows."""
    statement = SQL("SELECT DISTINCT m.{name}::text FROM ({rows}) AS m WHERE m.{name} IS NOT NULL LIMIT {most}").format(
        name=Identifier(key.columns[0]), rows=rows, most=Literal(_MOST)
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
