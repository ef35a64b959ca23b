"""Whether the servers understand the plan's SQL: legacy plans every expression and rule, and executes none; the IAM computes the
constants of the rows that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine.errors import describe, fault_of
from migration_portal.plan import compile, uniques
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Column, Given, Plan, Rule, Table, TableInfo


def expressions(legacy: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    """An error for each that it does not: which, in which line, why. For a plan that fits both catalogs."""
    for table in plan.tables:
        if fault_of(legacy, _all(plan, table, target)) is None:
            continue
        for part, sql in _parts(table, target):
            if error := fault_of(legacy, _one(plan, table, sql)):
                yield Finding(
                    "error", f"{table.target}.{part.name}", f"Legacy cannot compute it: {describe(error).what}",
                    f"Correct {'line ' + str(part.line) if part.line else 'the line'} of the plan: {part.name} = {part.written}",
                )  # fmt: skip


def given(iam: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    """An error for each column of a given row that the IAM cannot compute, and for each row that could not be added.

    For a plan that fits both catalogs. Whatever the constants call changes nothing.
    """
    with iam.transaction():
        iam.execute("SET TRANSACTION READ ONLY")
        yield from _given(iam, plan, target)


def _given(iam: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    keys: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(plan.rows, 1):
        info, faulty = target[row.target], False
        for column in row.columns:
            kind = info.columns[column.name]
            if error := fault_of(iam, SQL("SELECT ({})::{}").format(compile.raw(column.sql), compile.raw(kind.type))):
                faulty = True
                yield Finding(
                    "error", f"{row.target}.{column.name}", f"The IAM cannot compute it: {describe(error).what}",
                    f"Correct line {column.line} of the plan: {column.name} = {column.sql}",
                )  # fmt: skip
        if faulty:
            continue
        key, again = (_values(iam, row, info, info.primary_key) for _ in range(2))
        if key != again:
            yield Finding(
                "error", row.target, "The key of a row is another each time: every run would add one more.",
                f"Let row {number} of the plan have a constant key.",
            )  # fmt: skip
        if (first := keys.setdefault((row.target, *key), number)) != number:
            yield Finding("error", row.target, f"Rows {first} and {number} have one key.", "Keep one of them.")
        yield from _in_the_way(iam, plan, row, info, key, number)


def _in_the_way(
    iam: Connection[Any], plan: Plan, row: Given, info: TableInfo, key: tuple[Any, ...], number: int
) -> Iterator[Finding]:
    """Another row of the IAM that has the same in unique columns."""
    said = {column.name: column.sql for column in row.columns}
    for unique in info.uniques.values():
        if not set(unique.columns) <= said.keys():
            continue
        wanted = SQL(", ").join(
            SQL("({})::{} AS {}").format(
                compile.raw(said[name]), compile.raw(info.columns[name].type), Identifier(name)
            )
            for name in unique.columns
        )
        table = uniques.searched(unique, Identifier(plan.target_schema, row.target))
        another = SQL("SELECT FROM {} AS t, (SELECT {}) AS s WHERE {} AND NOT ({})").format(
            table, wanted, uniques.collide(unique, "t", "s"), _same(info.primary_key, key)
        )
        if iam.execute(another).rowcount:
            yield Finding(
                "error", row.target, f"Another row of the IAM has its {', '.join(unique.columns)}: it cannot be added.",
                f"Change that row, or row {number} of the plan.",
            )  # fmt: skip


def _values(iam: Connection[Any], row: Given, info: TableInfo, names: Sequence[str]) -> tuple[Any, ...]:
    said = {column.name: column.sql for column in row.columns}
    parts = [
        SQL("(({})::{})::text").format(compile.raw(said[name]), compile.raw(info.columns[name].type)) for name in names
    ]
    found = iam.execute(SQL("SELECT {}").format(SQL(", ").join(parts)), prepare=True).fetchone()
    return tuple(found or ())


def _same(names: Sequence[str], values: Sequence[Any]) -> Composable:
    pairs = zip(names, values, strict=True)
    return SQL(" AND ").join(SQL("t.{}::text = {}").format(Identifier(name), Literal(value)) for name, value in pairs)


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
