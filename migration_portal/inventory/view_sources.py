"""What no index promises of a view that a plan makes rows of: counted over its rows before a run begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from migration_portal.engine.errors import describe
from migration_portal.plan import belonging, compile
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Plan, Read, Table


def view_sources(legacy: Connection[Any], plan: Plan, source: Catalog) -> Iterator[Finding]:
    """An error where a view has a key twice, or its tables say otherwise than it does whose a row is. For a plan that fits."""
    for table in (table for table in plan.tables if table.view):
        yield from _told_apart(legacy, plan, table)
        for read in (read for read in table.reads if read.tenant):
            yield from _said_alike(legacy, plan, table, read, source)


def _told_apart(legacy: Connection[Any], plan: Plan, table: Table) -> Iterator[Finding]:
    about = {
        "key": SQL(", ").join(map(Identifier, table.key)), "table": compile.source_table(plan, table),
        "set": compile.all_set(table.key),
    }  # fmt: skip
    twice = "SELECT count(*) FROM (SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1 OR NOT ({set})) AS k"
    if count := _number(legacy, SQL(twice).format(**about)):
        yield Finding(
            "error", table.source, f"{count:,} keys ({', '.join(table.key)}) stand there more than once, or are NULL: its rows"
            " cannot be told apart.", "Correct the view, or set 'key' to columns that tell each row from every other.",
        )  # fmt: skip


def _said_alike(legacy: Connection[Any], plan: Plan, table: Table, read: Read, source: Catalog) -> Iterator[Finding]:
    """By what the view says a row is moved; by what its table says, it is guarded."""
    name = Identifier(read.source).as_string(legacy)
    rows = belonging.Concerned(read.source, table.source, read.link, read.tenant)
    differ = SQL("SELECT count(*) FROM {} AS o JOIN {} ON {} WHERE lower({}) IS DISTINCT FROM lower({})").format(
        compile.source_table(plan, table), Identifier(plan.source_schema, read.source),
        compile.same(table.key, read.link, "o", name),
        belonging.tenant_as_written(plan, table.source, source, "o"),
        belonging.tenant_of_watched(plan, rows, source, name),
    )  # fmt: skip
    try:
        count = _number(legacy, differ)
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        yield Finding(
            "error", read.source, f"Whose its rows are cannot be computed: {describe(error).what}",
            f"Correct it in the plan: tenant = {read.tenant}",
        )  # fmt: skip
        return
    if count:
        yield Finding(
            "error", read.source, f"Of {count:,} of its rows 'tenant' does not say what {table.source} says of them.",
            "Let both say the same: by the one rows are moved, by the other they are guarded.",
        )  # fmt: skip


def _number(legacy: Connection[Any], statement: Composed) -> int:
    with legacy.transaction():
        row = legacy.execute(statement).fetchone()
    return int(row[0]) if row else 0
