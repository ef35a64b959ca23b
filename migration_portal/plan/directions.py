"""A plan read as a flow of rows in one direction: forward as written, or back through its reverse sections. Pure."""

from __future__ import annotations

from dataclasses import replace

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.plan import compile
from migration_portal.plan.checks import words
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Catalog, Column, ForeignKey, Plan, Table


def backward(plan: Plan, source: Catalog, target: Catalog) -> Plan:
    """The plan that leads from the IAM back to legacy: the tables that have a reverse section."""
    tables = tuple(
        replace(
            table,
            source=table.target,
            target=table.source,
            key=target[table.target].primary_key,
            columns=table.reverse,
            tenant=_source_of(table, table.tenant, source) if table.tenant else None,
            ignored=(),
            reject=(),
            quality=(),
            reverse=(),
        )
        for table in plan.tables
        if table.reverse
    )
    return replace(plan, tables=tables, source_schema=plan.target_schema, target_schema=plan.source_schema)


def siblings(plan: Plan, source: str) -> list[Table]:
    """The table plans that read this source table, in plan order."""
    return [table for table in plan.tables if table.source == source]


def tenant_column(plan: Plan, source: str, catalog: Catalog) -> str | None:
    """The column of the source table that says whose row it is, or None."""
    table = _with_tenant(plan, source)
    return _source_of(table, table.tenant, catalog) if table and table.tenant else None


def tenant_of_source_row(plan: Plan, source: str) -> Composable:
    """The row's tenant as the target writes it, as text; NULL for rows of nobody."""
    table = _with_tenant(plan, source)
    if table is None or table.tenant is None:
        return SQL("NULL::text")
    column = table.column(table.tenant)
    assert column is not None
    return SQL("(CASE WHEN NOT {} THEN {} END)::text").format(compile.rejected(table), compile.raw(column.sql))


def owner(table: Table, source: Catalog, target: Catalog) -> list[Column]:
    """The part of the target's key that follows from the source's key alone: it finds what became of a row that is gone.

    Raises PlanError when there is none: such a table cannot be caught up.
    """
    names = set(source[table.source].columns)
    found = []
    for name in target[table.target].primary_key:
        column = table.column(name)
        mentioned = names & set(words(column.sql)) if column else set()
        if column is not None and mentioned and mentioned <= set(table.key):
            found.append(column)
    if not found:
        raise PlanError(
            "No part of its key follows from the legacy key alone: deleted rows could not be found.",
            subject=table.target, todo="Map a key column from the key's columns, or run without capture.",
        )  # fmt: skip
    return found


def at_home(tenant: Composable, homes: frozenset[str], *, by_default: bool) -> Composable:
    """True where the source side owns the tenant: `homes` are the exceptions to `by_default`; never NULL."""
    listed = SQL("coalesce({} = ANY({}::text[]), false)").format(tenant, Literal(sorted(homes)))
    return SQL("NOT {}").format(listed) if by_default else listed


def target_tenant(plan: Plan, table: Table, target: Catalog, schema: Composable, alias: str) -> Composable:
    """The tenant of the target row `alias`, as homes write it: its own column, or that of its parent of the same source."""
    row = compile.raw(alias)
    if table.tenant:
        return SQL("lower({}.{}::text)").format(row, Identifier(table.tenant))
    found = through_first(plan, table, target)
    if found is None:
        return SQL("NULL::text")
    first, key = found
    return SQL("(SELECT lower(p.{}::text) FROM {}.{} AS p WHERE {})").format(
        Identifier(first.tenant or ""), schema, Identifier(first.target),
        compile.same(key.parent_columns, key.columns, "p", alias),
    )  # fmt: skip


def through_first(plan: Plan, table: Table, target: Catalog) -> tuple[Table, ForeignKey] | None:
    """The table of the same source that knows the tenant, and the mapped foreign key that leads to it."""
    first = _with_tenant(plan, table.source)
    for key in target[table.target].foreign_keys:
        if first is not None and key.parent == first.target and all(table.column(c) for c in key.columns):
            return first, key
    return None


def _with_tenant(plan: Plan, source: str) -> Table | None:
    return next((table for table in siblings(plan, source) if table.tenant), None)


def _source_of(table: Table, name: str | None, catalog: Catalog) -> str | None:
    column = table.column(name) if name else None
    if column is None:
        return None
    return next((word for word in words(column.sql) if word in catalog[table.source].columns), None)
