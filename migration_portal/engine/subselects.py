"""What a plan's expressions read besides their row, by the server's own account. What a function reads is not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.plan import compile
from migration_portal.plan.model import Plan


def unread(connection: Connection[Any], plan: Plan, source: str) -> str:
    """What of it would not be captured, in words: tables that the expressions over this source read unsaid, also other rows of its
    own; of a view, also what it is made of. Empty where there is nothing. Raises Refusal.
    """
    tables = plan.siblings(source)
    said = {("portal_capture", "portal_numbers")} | {
        (plan.source_schema, read.source) for table in tables for read in table.reads
    }
    expressions = (column.sql for table in tables for column in table.columns)
    found = _read(connection, plan, source, expressions, rows_too=tables[0].view)
    named = ", ".join(_named(plan, *table) for table in sorted(found - said))
    how = "It is made of" if tables[0].view else "Its expressions read"
    return f"{how} {named}, whose changes would not be captured." if named else ""


def of_tenant(connection: Connection[Any], plan: Plan, source: str) -> list[str]:
    """Tables that one must look into to say whose a row is. Raises Refusal."""
    whose = [table.source_tenant for table in plan.siblings(source) if table.source_tenant]
    return [_named(plan, *table) for table in sorted(_read(connection, plan, source, whose))]


def _named(plan: Plan, schema: str, table: str) -> str:
    return table if schema == plan.source_schema else f"{schema}.{table}"


def _read(
    connection: Connection[Any], plan: Plan, source: str, expressions: Iterable[str], *, rows_too: bool = False
) -> set[tuple[str, str]]:
    columns = SQL(", ").join(SQL("({})").format(compile.raw(sql)) for sql in expressions)
    statement = SQL("EXPLAIN (VERBOSE, FORMAT JSON) SELECT {} FROM {}").format(
        columns, Identifier(plan.source_schema, source)
    )
    try:
        with connection.transaction():
            [(explained,)] = connection.cursor(row_factory=tuple_row).execute(statement).fetchall()
    except psycopg.Error as error:
        raise describe(error, subject=f"{source}, its expressions") from error
    tables = [Identifier(*name).as_string(connection) for name in _relations(explained[0]["Plan"], within=rows_too)]
    roots = rows(connection, queries("capture")["roots"], {"tables": tables})
    return {(row["schema"], row["name"]) for row in roots}


def _relations(node: dict[str, Any], *, within: bool = False) -> Iterator[tuple[str, str]]:
    """Schema and name of the tables in the sub-selects of a plan of the server's."""
    within = within or node.get("Parent Relationship") in ("SubPlan", "InitPlan")
    if within and "Relation Name" in node:
        yield node["Schema"], node["Relation Name"]
    for each in node.get("Plans", ()):
        yield from _relations(each, within=within)
