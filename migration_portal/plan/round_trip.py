"""What becomes of a legacy row that comes back as it arrived: reverse(forward(row)), computed by legacy itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.plan import compile
from migration_portal.plan.checks import words
from migration_portal.plan.model import Catalog, Column, Plan, Table, TableInfo
from migration_portal.plan.spelling import spelled


def uncertain(forward: Table, iam: TableInfo) -> list[Column]:
    """The reverse columns that may come back as something else: those that are not one and the same column both ways.

    An id is the same however it is written: it comes back as legacy writes it.
    """
    return [column for column in forward.reverse if not _same(forward, column, iam)]


def _same(forward: Table, column: Column, iam: TableInfo) -> bool:
    there = forward.column(spelled(column.sql))
    if there is None or there.name not in iam.columns or spelled(there.sql) != column.name:
        return False
    return iam.columns[there.name].type == "uuid" or (there.sql, column.sql) == (column.name, there.name)


def echo(forward: Table, column: Column, legacy: TableInfo, iam: TableInfo, row: str) -> Composable:
    """What the reverse column would be for the legacy row `row` (an alias) if the IAM had only what was copied of it.

    NULL for rows that the reject rules name.
    """
    mentioned = set(words(column.sql))
    parts = [
        SQL("({})::{} AS {}").format(compile.raw(each.sql), compile.raw(iam.columns[each.name].sent_as), Identifier(each.name))
        for each in forward.columns
        if each.name in mentioned
    ]  # fmt: skip
    return SQL("(SELECT ({})::{} FROM (SELECT {} FROM (SELECT {}.*) AS {} WHERE NOT {}) AS {})").format(
        compile.raw(column.sql), compile.raw(legacy.columns[column.name].type), SQL(", ").join(parts), compile.raw(row),
        Identifier(forward.source), compile.rejected(forward), Identifier(forward.target),
    )  # fmt: skip


def changed(forward: Table, column: Column, legacy: TableInfo, iam: TableInfo) -> Composed:
    """True for legacy rows (of the table, by its name) whose column would come back as something else."""
    name = f'"{forward.source}"'
    text = SQL("::text" if compile.by_its_text(legacy.columns[column.name]) else "")
    return SQL("(NOT {} AND {}{text} IS DISTINCT FROM {}.{}{text})").format(
        compile.rejected(forward), echo(forward, column, legacy, iam, name), compile.raw(name), Identifier(column.name),
        text=text,
    )  # fmt: skip


def count(
    plan: Plan, forward: Table, columns: Sequence[Column], source: Catalog, target: Catalog, where: Composable
) -> Composed:
    """One row: how many there are, then for each column how many of them would come back as something else."""
    legacy, iam = source[forward.source], target[forward.target]
    counts = [SQL("count(*) FILTER (WHERE {})").format(changed(forward, column, legacy, iam)) for column in columns]
    return SQL("SELECT {} FROM {} WHERE {}").format(
        SQL(", ").join([SQL("count(*)"), *counts]), compile.source_table(plan, forward), where
    )


def sample(plan: Plan, forward: Table, column: Column, source: Catalog, target: Catalog, most: int) -> Composed:
    """Key, value and what it would come back as, as text, of rows whose column would come back as something else."""
    legacy, iam = source[forward.source], target[forward.target]
    return SQL("SELECT {}, {}::text, {}::text FROM {} WHERE {} LIMIT {}").format(
        compile.source_key(forward), Identifier(column.name),
        echo(forward, column, legacy, iam, f'"{forward.source}"'), compile.source_table(plan, forward),
        changed(forward, column, legacy, iam), Literal(most),
    )  # fmt: skip
