"""What a plan's expressions read besides their row, by the server's own account. What a function reads is not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.plan import compile
from migration_portal.plan.errors import PlanError
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Plan, Table


def uncapturable(connection: Connection[Any], plan: Plan, source: str) -> Iterator[PlanError]:
    """Why the source's rows are made of what nobody would watch, or whose they are could not be said. Raises Refusal."""
    tables = plan.siblings(source)
    reads = [read for table in tables for read in table.reads]
    if found := _of_tenant(connection, plan, source):
        yield PlanError(
            f"Whose its rows are is looked up in {', '.join(found)}: after a change there, whose they were could not be said.",
            subject=source, todo="Let the tenant follow from the row's own columns, or run without capture.",
        )  # fmt: skip
    for read in reads:
        if read.tenant and (plan.source_schema, read.source) in _read(connection, plan, read.source, [read.tenant]):
            yield PlanError(
                "Whose its rows are is looked up in itself: of a row that is deleted it could not be said.", subject=read.source,
                todo="Let its 'tenant' follow from the row's own columns, or from another table.",
            )  # fmt: skip
    if unread := _unread(connection, plan, tables):
        how = "It is made of" if tables[0].view else "Its expressions read"
        yield PlanError(
            f"{how} {', '.join(unread)}, whose changes would not be captured.", subject=source,
            todo="Name the tables under 'reads', with the link to this table's key, and make a view of a materialized one;"
            " or run without capture.",
        )  # fmt: skip
    elif tables[0].view and not reads:
        yield PlanError(
            "It is a view, and no table that it is made of is named: nothing would be captured.", subject=source,
            todo="Name them under 'reads', with the link to its key; or run without capture.",
        )  # fmt: skip


def _unread(connection: Connection[Any], plan: Plan, tables: Sequence[Table]) -> list[str]:
    """Tables that the expressions over a source read unsaid, also other rows of its own; of a view, also what it is made of."""
    source, view = tables[0].source, tables[0].view
    said = {("portal_capture", "portal_numbers")} | {
        (plan.source_schema, read.source) for table in tables for read in table.reads
    }
    expressions = [column.sql for table in tables for column in table.columns]
    if view:  # what nothing asks for, the server does not read
        expressions += [rule.sql for table in tables for rule in table.reject if not rule.looks_up]
        expressions += [Identifier(name).as_string(connection) for table in tables for name in table.key]
    found = _read(connection, plan, source, expressions, rows_too=view)
    if rules := [rule.sql for table in tables for rule in table.reject if rule.looks_up or not view]:
        # Rows of the plan's own tables are watched, though who is kept back for them is looked at again only by verification.
        own = [SQL("(SELECT 1 FROM {} LIMIT 1)").format(Identifier(plan.source_schema, name)) for name in plan.watched]
        watched = _read(connection, plan, source, [each.as_string(connection) for each in own])
        found |= _read(connection, plan, source, rules) - watched
    return [_named(plan, *table) for table in sorted(found - said)]


def _of_tenant(connection: Connection[Any], plan: Plan, source: str) -> list[str]:
    """Tables that one must look into to say whose a row is."""
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
    found = {*_relations(explained[0]["Plan"], within=rows_too), *_unnamed(connection, plan, source, columns)}
    tables = [Identifier(*name).as_string(connection) for name in found]
    roots = rows(connection, queries("capture")["roots"], {"tables": tables})
    return {(row["schema"], row["name"]) for row in roots}


def _unnamed(connection: Connection[Any], plan: Plan, source: str, columns: Composable) -> set[tuple[str, str]]:
    """Tables of partitions and foreign ones, besides the source, that the columns read, by way of views, too: the server's own plan
    leaves those out of which no partition is of use. By what a view would depend on; where the session may make none, nothing.
    Raises Refusal where our role may not, and something is looked up.
    """
    view = SQL("CREATE TEMP VIEW portal_reads AS SELECT ({}) IS NULL AS portal_read FROM {}").format(
        SQL("ROW({})").format(columns), Identifier(plan.source_schema, source)
    )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(view)
            found = {(row["schema"], row["name"]) for row in rows(connection, queries("capture")["reads_unnamed"])}
            return found - {(plan.source_schema, source)}
    except psycopg.errors.ReadOnlySqlTransaction:
        return set()
    except psycopg.errors.InsufficientPrivilege as error:
        if "select" not in words(columns.as_string(connection)) and not plan.siblings(source)[0].view:
            return set()
        raise PlanError(
            "What its expressions look up cannot be seen: our role may make no temporary view.", subject=source,
            todo="GRANT TEMPORARY ON DATABASE … to the role of LEGACY_DATABASE_URL; or run without capture.",
        ) from error  # fmt: skip


def _relations(node: dict[str, Any], *, within: bool = False) -> Iterator[tuple[str, str]]:
    """Schema and name of the tables in the sub-selects of a plan of the server's."""
    within = within or node.get("Parent Relationship") in ("SubPlan", "InitPlan")
    if within and "Relation Name" in node:
        yield node["Schema"], node["Relation Name"]
    for each in node.get("Plans", ()):
        yield from _relations(each, within=within)
