"""A plan read as a flow of rows in one direction: forward as written, or back through its reverse sections. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.plan import belonging, compile
from migration_portal.plan.errors import PlanError
from migration_portal.plan.mentioned import columns, words
from migration_portal.plan.model import Catalog, Column, ColumnInfo, Plan, Read, Table, TableInfo, Through
from migration_portal.plan.one_to_one import text_uuids, told_apart


def backward(plan: Plan, source: Catalog, target: Catalog) -> Plan:
    """The plan that leads from the IAM back to legacy: the tables that have a reverse section."""
    tables = tuple(
        back
        for table in plan.tables
        for back in (*_back(plan, table, source, target), *_into_reads(plan, table, target))
    )
    return replace(
        plan, tables=tables, source_schema=plan.target_schema, target_schema=plan.source_schema, captured=plan.watched
    )


def _back(plan: Plan, table: Table, source: Catalog, target: Catalog) -> list[Table]:
    """The table's own way back, if it has one."""
    if not table.reverse:
        return []
    whose, parent = table.source_tenant, plan.table(table.through.parent) if table.through else None
    if parent and parent.view:
        if not parent.back_into:
            return []
        whose = _of_parent(plan, table, parent, source)
    return [
        replace(
            table,
            source=table.target,
            target=table.source,
            key=target[table.target].primary_key,
            columns=table.reverse,
            source_tenant=table.target_tenant,
            target_tenant=whose,
            through=_through(plan, table, source),
            ignored=(),
            reject=(),
            quality=(),
            reads=(),
            reverse=(),
            forward=table,
        )
    ]


def _into_reads(plan: Plan, table: Table, target: Catalog) -> list[Table]:
    """The way back into the tables that are read: after the row that theirs belong to, and with its tenant."""
    return [
        Table(
            source=table.target,
            target=read.source,
            key=target[table.target].primary_key,
            columns=read.reverse,
            source_tenant=table.target_tenant,
            target_tenant=(read.tenant or _through_link(plan, table, read)) if table.source_tenant else None,
            secret=table.secret,
            forward=table,
            read=read,
            where=read.where,
        )
        for read in table.reads
        if read.reverse
    ]


def _through_link(plan: Plan, table: Table, read: Read) -> str:
    same = " AND ".join(
        f'"{table.source}"."{key}" = "{read.source}"."{link}"' for key, link in zip(table.key, read.link, strict=True)
    )
    return f'(SELECT {table.source_tenant} FROM "{plan.source_schema}"."{table.source}" WHERE {same})'


def keyed(plan: Plan, source: Catalog) -> Catalog:
    """The source's catalog as the way back needs it: each table by the plan's key, which need not be its primary one; those that
    are read, by what links them to the rows that read them.
    """
    keys = {table.source: table.key for table in plan.tables if table.reverse}
    keys |= {read.source: read.link for table in plan.tables for read in table.reads if read.reverse}
    return source | {name: replace(source[name], primary_key=key) for name, key in keys.items()}


def source_key(table: Table, row: str) -> Composable | None:
    """The source's key of the target row `row` (an alias), as text[], by the way back; None where none is written.

    NULL for legacy rows that the reject rules name: they have none.
    """
    if table.read:
        return None
    back = {each.name: each.sql for each in (table.forward.columns if table.forward else table.reverse)}
    if not set(table.key) <= back.keys():
        return None
    values = SQL(", ").join(SQL("({})::text").format(compile.raw(back[name])) for name in table.key)
    rejected = compile.rejected(table.forward) if table.forward else SQL("false")
    return SQL("(SELECT ARRAY[{}]::text[] FROM (SELECT {}.*) AS {} WHERE NOT {})").format(
        values, compile.raw(row), Identifier(table.target), rejected
    )


def owner(table: Table, source: Catalog, target: Catalog) -> list[Column]:
    """The part of the target's key that follows from the source's key alone: it finds what became of a row that is gone.

    Raises PlanError when there is none: such a table cannot be caught up.
    """
    names = set(source[table.source].columns)
    found = []
    for name in target[table.target].primary_key:
        column = table.column(name)
        mentioned = names & set(columns(column.reading)) if column else set()
        if column is not None and mentioned and mentioned <= set(table.key) and not _looks_elsewhere(column):
            found.append(column)
    if not found:
        raise PlanError(
            "No part of its key follows from the legacy key alone: deleted rows could not be found.",
            subject=table.target, todo="Map a key column from the key's columns, or run without capture.",
        )  # fmt: skip
    return found


def _looks_elsewhere(column: Column) -> bool:
    """Whether other rows say what it is: when the row is gone, theirs may be gone, too. Our own numbers stay."""
    return not column.number and "select" in {word.lower() for word in words(column.reading)}


def unfollowed(plan: Plan, source: Catalog, target: Catalog) -> Iterator[PlanError]:
    """Tables of which a captured change would not lead to the target's rows, or to others' as well."""
    for table in (table for table in plan.tables if table.source in source and table.target in target):
        try:
            found = owner(table, source, target)
        except PlanError as error:
            yield error
            continue
        said = {name for column in found for name in columns(column.reading)} & set(table.key)
        if len(found) < len(target[table.target].primary_key) and said < set(table.key):
            yield PlanError(
                f"Of the IAM's key only {', '.join(c.name for c in found)} follows from legacy's key, and from a part of it"
                f" ({', '.join(sorted(said))}): a row that is gone could not be told from others.",
                subject=table.target, todo="Map a key column from the rest of legacy's key, or run without capture.",
            )  # fmt: skip
        elif not (table.one_of_many or told_apart(table, found, source[table.source], target[table.target])):
            made = ", ".join(f"{column.name} = {column.written}" for column in found)
            yield PlanError(
                f"Two rows of legacy could be one in the IAM: {made} may be the same for another {', '.join(table.key)}.",
                subject=table.target, todo=_TELL_APART,
            )  # fmt: skip
        elif bare := _written_in_many_ways(table, source[table.source]):
            yield PlanError(
                "Two rows of legacy could be one in the IAM: uuids may be written with hyphens, without, or in braces"
                f" ({', '.join(bare)}).",
                subject=table.target, todo=f'Add a reject rule for each, as in not_a_uuid = {{ uuid = "{bare[0]}" }}.',
            )  # fmt: skip
        for read in (read for read in table.reads if read.key != table.key):
            if refusal := _astray(table, read, found, source[table.source], target[table.target]):
                yield refusal


def _written_in_many_ways(table: Table, here: TableInfo) -> list[str]:
    """Of a key with several uuids kept as text, those without a rule about how they are written: all ways of all would be too many
    to look up.
    """
    uuids = text_uuids(table, here)
    return [name for name in uuids if name not in {rule.about for rule in table.reject}] if len(uuids) > 1 else []


def kept_apart_by_indexes(plan: Plan, source: Catalog, target: Catalog) -> list[Table]:
    """The tables whose rows would not be told apart without a unique index of legacy's, besides its key."""
    bare = {name: replace(info, uniques={}) for name, info in source.items()}
    return [table for table in plan.tables if not table.one_of_many and not _apart(table, bare, target)]


def _apart(table: Table, source: Catalog, target: Catalog) -> bool:
    return told_apart(table, owner(table, source, target), source[table.source], target[table.target])


def no_longer_apart(tables: Iterable[Table], source: Catalog, target: Catalog) -> list[Table]:
    """Of such tables those whose rows are not told apart as legacy is now; not those that are gone."""
    return [
        table for table in tables
        if table.source in source and set(table.key) <= source[table.source].columns.keys() and not _apart(table, source, target)
    ]  # fmt: skip


_TELL_APART = (
    "Make it of the key's columns as they stand, hashed, or listed as md5(jsonb_build_array(a, b)::text)::uuid; or give"
    " legacy a unique index over what it is made of, as CREATE UNIQUE INDEX ON people (lower(login)); of uuids that legacy keeps"
    ' as text, reject what is none, as id_not_uuid = { uuid = "id" }. Or run without capture.'
)


def _astray(table: Table, read: Read, found: list[Column], here: TableInfo, there: TableInfo) -> PlanError | None:
    """Why a change that says a part of the key would not lead to the IAM's rows, to others' too, or to those of several tenants."""
    said = ", ".join(read.key)
    known = [column for column in found if follows(column, table, read.key)]
    mentioned = {name for column in known for name in columns(column.reading)} & set(table.key)
    whose = {table.through.column} if table.through else set(words(table.target_tenant or ""))
    if not table.view:
        what, todo = (
            f"Its link says {said} alone, and {table.source} is no view.",
            "Link the whole key, or read a view.",
        )
    elif not known:
        what = f"A change of {read.source} says {said}, and nothing of the IAM's key follows from that."
        todo = "Name more of the key's columns in its 'link', or run without capture."
    elif mentioned != set(read.key):
        what = f"Of what a change of {read.source} says ({said}), the IAM's key follows from {', '.join(sorted(mentioned))} alone."
        todo = f"Let its 'link' name {', '.join(sorted(mentioned))} alone, or run without capture."
    elif not whose & {column.name for column in known}:
        what = f"A change of {read.source} says {said}: whose the IAM's rows are does not follow from that."
        todo = "Name the column of the key that leads to their tenant in its 'link', or run without capture."
    elif wide := [each.name for each in known if not _the_same(here.columns.get(each.sql), there.columns[each.name])]:
        what = f"A change of {read.source} says {said}: of two ways to write it {', '.join(wide)} may be the same."
        todo = "Let it be a column of the key as it stands, or run without capture."
    else:
        return None
    return PlanError(what, subject=table.target, todo=todo)


def _the_same(mine: ColumnInfo | None, theirs: ColumnInfo) -> bool:
    """Whether no two values of the one column are one value of the other."""
    return mine is not None and mine.type == theirs.type and mine.type in _EXACT


_EXACT = {"uuid", "text", "character varying", "smallint", "integer", "bigint"}
"""Types of which equal values are written alike."""


def follows(column: Column, table: Table, said: Iterable[str]) -> bool:
    """Whether the column follows from these of the columns of the source's key."""
    return set(columns(column.reading)) & set(table.key) <= set(said)


def _through(plan: Plan, table: Table, source: Catalog) -> Through | None:
    """The way back: the parent's source, and the source column that refers to it."""
    if table.through is None:
        return None
    parent = plan.table(table.through.parent)
    # Nothing leads back into a view: any table that it is made of has the IAM's parents as its source.
    into = parent.back_into[0] if parent.view else parent.source
    return Through(into, belonging.referring(table, source))


def _of_parent(plan: Plan, table: Table, parent: Table, source: Catalog) -> str:
    """Whose a legacy row is that refers to a row of a view, over that row."""
    same = f'"{parent.source}"."{parent.key[0]}" = "{table.source}"."{belonging.referring(table, source)}"'
    return f'(SELECT {parent.source_tenant} FROM "{plan.source_schema}"."{parent.source}" WHERE {same} LIMIT 1)'
