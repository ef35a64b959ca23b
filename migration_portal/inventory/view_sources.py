"""What no index promises of a view that a plan makes rows of: counted over its rows before a run begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.plan import belonging, compile
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Plan, Read, Table


def view_sources(legacy: Connection[Any], plan: Plan, source: Catalog) -> Iterator[Finding]:
    """An error where a view has a key twice, its tables do not lead to its rows, or say otherwise whose they are."""
    for table in (table for table in plan.tables if table.view):
        yield from _told_apart(legacy, plan, table)
        yield from _led_to(legacy, plan, table)
        for read in table.reads:
            if read.tenant:
                yield from _said_alike(legacy, plan, table, read, source)
            if read.where:
                yield from _kept_by_others(legacy, plan, read)


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


def _led_to(legacy: Connection[Any], plan: Plan, table: Table) -> Iterator[Finding]:
    """What is captured of a table that it is made of must name a row of the view; what comes back, a table."""
    if not table.reads:
        return

    def lacking(*reads: Read) -> int:
        missing = SQL(" AND ").join(
            SQL("NOT EXISTS (SELECT FROM {} AS w WHERE {})").format(
                Identifier(plan.source_schema, read.source), compile.same(read.key, read.link, "o", "w")
            )
            for read in reads
        )
        return _number(
            legacy, SQL("SELECT count(*) FROM {} AS o WHERE {}").format(compile.source_table(plan, table), missing)
        )

    if count := lacking(*table.reads):
        yield Finding(
            "error", table.source, f"No table under 'reads' leads to {count:,} of its rows: their changes would not be found.",
            "Correct their links, or name the table that is missing.",
        )  # fmt: skip
    back = [read for read in table.reads if read.reverse]
    if len(back) > 1 and not all(read.where for read in back) and all(lacking(read) for read in back):
        without = ", ".join(read.source for read in back if not read.where)
        yield Finding(
            "error", table.source, f"No table has all its rows: each would come back into {without}, too.",
            "Say with 'where' which of the IAM's rows each table has.",
        )  # fmt: skip


def _said_alike(legacy: Connection[Any], plan: Plan, table: Table, read: Read, source: Catalog) -> Iterator[Finding]:
    """By what the view says a row is moved; by what its table says, it is guarded."""
    name = Identifier(read.source).as_string(legacy)
    about = belonging.of_read(table, read)
    differ = SQL("SELECT count(*) FROM {} AS o JOIN {} ON {} WHERE lower({}) IS DISTINCT FROM lower({})").format(
        compile.source_table(plan, table), Identifier(plan.source_schema, read.source),
        compile.same(read.key, read.link, "o", name),
        belonging.tenant_as_written(plan, table.source, source, "o"),
        belonging.tenant_of_watched(plan, about, source, name),
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


def _kept_by_others(legacy: Connection[Any], plan: Plan, read: Read) -> Iterator[Finding]:
    """Who moves to another table of the view's is deleted here, and what hangs on the row would go, too, or lose its reference."""
    name = Identifier(plan.source_schema, read.source).as_string(legacy)
    with legacy.transaction():
        found = rows(legacy, queries("catalog")["referring"], {"table": name})
    if children := sorted({row["child"] for row in found if row["goes_along"]}):
        yield Finding(
            "warning", read.source, f"Who becomes one of another table in the IAM waits while {', '.join(children)} refer to them.",
            "They would go with the row, or lose their reference (ON DELETE); until then the tenant cannot come back.",
        )  # fmt: skip


def _number(legacy: Connection[Any], statement: Composed) -> int:
    with legacy.transaction():
        row = legacy.execute(statement).fetchone()
    return int(row[0]) if row else 0
