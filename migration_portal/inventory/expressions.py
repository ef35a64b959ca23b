"""Whether the servers understand the plan's SQL: legacy plans every expression and rule, and executes none; the IAM computes the
constants of the rows that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed

from migration_portal.engine.errors import describe, fault_of
from migration_portal.plan import compile
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Column, Plan, Rule, Table


def expressions(legacy: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    """An error for each that it does not: which, in which line, why. For a plan that fits both catalogs."""
    for table in plan.tables:
        if fault_of(legacy, _all(plan, table, target)) is None:
            continue
        for part, sql in _parts(table, target):
            if error := fault_of(legacy, _one(plan, table, sql)):
                yield Finding(
                    "error", f"{table.target}.{part.name}", f"Legacy cannot compute it: {describe(error).what}",
                    f"Correct {'line ' + str(part.line) if part.line else 'the line'} of the plan: {part.name} = {part.sql}",
                )  # fmt: skip


def given(iam: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    """An error for each column of a given row that the IAM cannot compute."""
    for row in plan.rows:
        for column in row.columns:
            kind = target[row.target].columns[column.name]
            if error := fault_of(iam, SQL("SELECT ({})::{}").format(compile.raw(column.sql), compile.raw(kind.type))):
                yield Finding(
                    "error", f"{row.target}.{column.name}", f"The IAM cannot compute it: {describe(error).what}",
                    f"Correct line {column.line} of the plan: {column.name} = {column.sql}",
                )  # fmt: skip


def _all(plan: Plan, table: Table, target: Catalog) -> Composed:
    return _one(plan, table, SQL(", ").join(sql for _, sql in _parts(table, target)))


def _one(plan: Plan, table: Table, sql: Composable) -> Composed:
    return SQL("EXPLAIN SELECT {} FROM {}").format(sql, compile.source_table(plan, table))


def _parts(table: Table, target: Catalog) -> Iterator[tuple[Column | Rule, Composable]]:
    for column in table.columns:
        kind = target[table.target].columns[column.name].sent_as
        yield column, SQL("({})::{}").format(compile.raw(column.sql), compile.raw(kind))
    for rule in (*table.reject, *table.quality):
        yield rule, SQL("({}) IS TRUE").format(compile.raw(rule.sql))
