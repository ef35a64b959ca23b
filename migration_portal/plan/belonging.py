"""Whose a row is: by a column, an expression, its parent, or the row that reads it. Pure.

A tenant is written in the source's way (as its queue and its guard know it) or in the target's (as homes do).
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.plan import compile
from migration_portal.plan.errors import PlanError
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Catalog, ForeignKey, Plan, Read, Table, TableInfo
from migration_portal.plan.spelling import spelled


def owned(plan: Plan, source: str) -> bool:
    """Whether the source table's rows have tenants: their own, or their parent's."""
    return _with_tenant(plan, source) is not None or _link(plan, source) is not None


def tenant_column(plan: Plan, source: str, catalog: Catalog) -> str | None:
    """The column of the source table that says whose row it is, or None: then nothing does, or an expression."""
    table = _with_tenant(plan, source)
    return _column(table.source_tenant or "", catalog[source]) if table else None


def tenant_as_written(plan: Plan, source: str, catalog: Catalog, row: str) -> Composable:
    """The tenant of the source row `row` (OLD, say), as the source writes it, as text; NULL for rows of nobody.

    Where no column says it but an expression, the source writes what that gives.
    """
    if table := _with_tenant(plan, source):
        return _over(table.source_tenant or "", catalog[source], row)
    if (link := _link(plan, source)) is None:
        return SQL("NULL::text")
    table, parent = link
    return SQL("(SELECT {} FROM {} AS p WHERE p.{} = {}.{}{})").format(
        _over(parent.source_tenant or "", catalog[parent.source], "p"), compile.source_table(plan, parent),
        Identifier(parent.key[0]), compile.raw(row), Identifier(referring(table, catalog)), _one_of(parent),
    )  # fmt: skip


def tenant_of_key(plan: Plan, source: str, catalog: Catalog, key: str) -> Composable | None:
    """Whose the row of a captured key (text[]) is by now, where its parent says it; NULL where that is gone. None for others."""
    if (link := _link(plan, source)) is None:
        return None
    (table, parent), types = link, catalog[source].columns
    if (column := referring(table, catalog)) in table.key:
        return SQL("(SELECT {} FROM {} AS p WHERE p.{} = ({})[{}]::{}{})").format(
            _over(parent.source_tenant or "", catalog[parent.source], "p"), compile.source_table(plan, parent),
            Identifier(parent.key[0]), compile.raw(key), Literal(table.key.index(column) + 1), compile.raw(types[column].type),
            _one_of(parent),
        )  # fmt: skip
    own = [
        SQL("c.{} = ({})[{}]::{}").format(Identifier(name), compile.raw(key), Literal(n), compile.raw(types[name].type))
        for n, name in enumerate(table.key, start=1)
    ]
    return SQL("(SELECT {} FROM {} AS c WHERE {})").format(
        tenant_as_written(plan, source, catalog, "c"), compile.source_table(plan, table), SQL(" AND ").join(own)
    )


@dataclass(frozen=True)
class Concerned:
    """The rows of `source` that a change of the `watched` table is about: its columns `link` hold their `key`, or part of it."""

    watched: str
    source: str
    link: tuple[str, ...]
    key: tuple[str, ...]
    tenant: str = ""
    """SQL over the watched row: whose it is, where the plan says so."""


def concerned(plan: Plan, watched: str) -> list[Concerned]:
    """Its own rows, where it is a source, and those that are made by reading it. Raises PlanError."""
    keys = {table.key for table in plan.siblings(watched)}
    if len(keys) > 1:
        raise PlanError("Its table plans use different keys.", subject=watched, todo="Use one key for a source table.")
    own = [Concerned(watched, watched, key, key) for key in keys]
    readers = (of_read(table, read) for table in plan.tables for read in table.reads if read.source == watched)
    return list(dict.fromkeys([*own, *readers]))


def of_read(table: Table, read: Read) -> Concerned:
    """The table's rows that a change of what it reads is about."""
    return Concerned(read.source, table.source, read.link, read.key, read.tenant)


def tenant_of_watched(plan: Plan, rows: Concerned, catalog: Catalog, row: str) -> Composable:
    """Whose the source row is that a row of a watched table is about, as the source writes it, as text."""
    if rows.watched == rows.source:
        return tenant_as_written(plan, rows.source, catalog, row)
    if rows.tenant:
        return _over(rows.tenant, catalog[rows.watched], row)
    table = plan.siblings(rows.source)[0]
    return SQL("(SELECT {} FROM {} AS o WHERE {}{})").format(
        tenant_as_written(plan, rows.source, catalog, "o"), compile.source_table(plan, table),
        compile.same(rows.key, rows.link, "o", row), SQL(" LIMIT 1" if rows.key != table.key else ""),
    )  # fmt: skip


def looked_up(plan: Plan, rows: Concerned, catalog: Catalog) -> bool:
    """Whether saying whose the row is takes more than its own column: an expression, or another row."""
    if rows.watched != rows.source:
        return True
    return owned(plan, rows.source) and tenant_column(plan, rows.source, catalog) is None


def tenant_types(plan: Plan, rows: Concerned, catalog: Catalog) -> set[str]:
    """The type of the column that says whose row it is; empty for rows of nobody, {"unknown"} for an expression."""
    source = rows.source
    if rows.tenant:
        own = _column(rows.tenant, catalog[rows.watched])
        return {catalog[rows.watched].columns[own].type if own else "unknown"}
    link = _link(plan, source)
    name = link[1].source if link else source
    if _with_tenant(plan, name) is None:
        return set()
    column = tenant_column(plan, name, catalog)
    return {catalog[name].columns[column].type if column else "unknown"}


def tenant_of_source_row(plan: Plan, source: str, catalog: Catalog) -> Composable:
    """The row's tenant as the target writes it, as text; NULL for rows of nobody."""
    link = _link(plan, source)
    table = link[1] if link else _with_tenant(plan, source)
    if table is None:
        return SQL("NULL::text")
    column = table.column(spelled(table.target_tenant or ""))
    sql = column.sql if column else table.source_tenant or ""
    own = SQL("(CASE WHEN NOT {} THEN {} END)::text").format(compile.rejected(table), compile.raw(sql))
    if link is None:
        return own
    return SQL("(SELECT {} FROM {} WHERE {} = {}{})").format(
        own, compile.source_table(plan, table), Identifier(table.source, table.key[0]),
        Identifier(source, referring(link[0], catalog)), _one_of(table),
    )  # fmt: skip


def _one_of(table: Table) -> Composable:
    """A view may get a key twice; an application's write must not fail for that."""
    return SQL(" LIMIT 1" if table.view else "")


def at_home(tenant: Composable, homes: frozenset[str], *, by_default: bool) -> Composable:
    """True where the source side owns the tenant: `homes` are the exceptions to `by_default`; never NULL."""
    listed = SQL("coalesce({} = ANY({}::text[]), false)").format(tenant, Literal(sorted(homes)))
    return SQL("NOT {}").format(listed) if by_default else listed


def target_tenant(plan: Plan, table: Table, target: Catalog, schema: Composable, alias: str) -> Composable:
    """The tenant of the target row `alias`, as homes write it: its own column, or that of its parent."""
    if table.target_tenant:
        return SQL("lower({})").format(_over(table.target_tenant, target[table.target], alias))
    if table.through:
        parent = plan.table(table.through.parent)
        return SQL("(SELECT lower({}) FROM {}.{} AS p WHERE p.{} = {}.{})").format(
            _over(parent.target_tenant or "", target[parent.target], "p"), schema, Identifier(parent.target),
            Identifier(target[parent.target].primary_key[0]), compile.raw(alias), Identifier(table.through.column),
        )  # fmt: skip
    found = through_first(plan, table, target)
    if found is None:
        return SQL("NULL::text")
    first, key = found
    return SQL("(SELECT lower({}) FROM {}.{} AS p WHERE {})").format(
        _over(first.target_tenant or "", target[first.target], "p"), schema, Identifier(first.target),
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
    return next((table for table in plan.siblings(source) if table.source_tenant), None)


def _link(plan: Plan, source: str) -> tuple[Table, Table] | None:
    """The table plan of this source whose rows have their parent's tenant, and the parent's."""
    if _with_tenant(plan, source) is not None:
        return None
    table = next((table for table in plan.siblings(source) if table.through), None)
    return (table, plan.table(table.through.parent)) if table and table.through else None


def referring(table: Table, catalog: Catalog) -> str:
    """The source column that refers to the parent. Raises PlanError when there is none, or more than one."""
    assert table.through is not None
    column = table.column(table.through.column)
    mentioned = {word for word in words(column.reading if column else "") if word in catalog[table.source].columns}
    if len(mentioned) != 1:
        raise PlanError("No one legacy column leads to its parent.", subject=f"{table.target}.{table.through.column}")
    return mentioned.pop()


def _column(sql: str, table: TableInfo) -> str | None:
    word = spelled(sql)
    return word if word in table.columns else None


def _over(sql: str, table: TableInfo, row: str) -> Composable:
    """The expression over one row (OLD, an alias), as text: by the row's column alone where it is a spelling of one."""
    if column := _column(sql, table):
        return SQL("{}.{}::text").format(compile.raw(row), Identifier(column))
    return SQL("(SELECT ({})::text FROM (SELECT {}.*) AS {})").format(
        compile.raw(sql), compile.raw(row), Identifier(table.name)
    )
