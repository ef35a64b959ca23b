"""Plans as SQL. A row is mapped in exactly one way: copy, verification and reports all select `mapped_columns`.

Plan fragments are trusted like code (the file is part of the deployment); identifiers and
values are composed with psycopg.sql, so no statement built here takes bound parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.plan.model import Catalog, ColumnInfo, ForeignKey, Plan, Rule, Table, TableInfo

# Types without a hash operator class: compared by their text.
_UNHASHABLE = {"json", "xml", "point", "box", "path", "polygon", "circle", "line", "lseg"}


def raw(fragment: str) -> SQL:
    """A piece of SQL from the plan or the catalog: trusted, never from a user."""
    return SQL(fragment)  # type: ignore[arg-type]


def source_table(plan: Plan, table: Table) -> Composed:
    return Composed([Identifier(plan.source_schema, table.source)])


def mapped_columns(table: Table, target: TableInfo) -> Composed:
    """The select list over the source row: every target column, cast to its type but never to its length.

    A cast to varchar(20) would cut silently; without the length, the target refuses the long value. A type that only the target
    has is cast there, when the value is written.
    """
    parts = [
        SQL("({expression})::{type} AS {name}").format(
            expression=raw(column.sql), type=raw(target.columns[column.name].sent_as), name=Identifier(column.name)
        )
        for column in table.columns
    ]
    return SQL(", ").join(parts)


def rejected(table: Table, *, casts: bool = True) -> Composable:
    """True for the rows that the plan's reject rules name, with or without those that fail a cast by themselves; never NULL."""
    rules = [rule.sql if casts or not rule.cast else rule.cast for rule in table.reject]
    if not rules:
        return SQL("false")
    return SQL("({})").format(SQL(" OR ").join(SQL("({}) IS TRUE").format(raw(sql)) for sql in rules))


def kept(plan: Plan, table: Table, where: Composable, *, casts: bool = True) -> Composable:
    """True for those of the rows `where` that are the table plan's, and that no reject rule names.

    Rules that look into tables are joined, which takes as long as reading the tables; asked of each row, a rule that no index
    helps would read a whole table a row.
    """
    parts = [SQL("NOT {}").format(_rejected_alone(table, casts=casts))]
    parts += [_not_among(plan, table, condition) for _, condition in looked_up(plan, table, where)]
    if table.where:
        parts.append(SQL("({}) IS TRUE").format(raw(table.where)))
    return SQL(" AND ").join(parts)


def looked_up(plan: Plan, table: Table, where: Composable) -> list[tuple[Rule, Composable]]:
    """Each reject rule that looks into tables, and the condition on the rows `where` that it is the first to name.

    They come after the other rules, which may keep out the rows of which they cannot be asked.
    """
    found: list[tuple[Rule, Composable]] = []
    for rule in (rule for rule in table.reject if rule.looks_up):
        others = [SQL("NOT {}").format(_rejected_alone(table))]
        others += [_not_among(plan, table, condition) for _, condition in found]
        condition = SQL("({}) AND {} AND ({})").format(where, SQL(" AND ").join(others), raw(rule.sql))
        found.append((rule, condition))
    return found


def rejections(plan: Plan, table: Table, where: Composable) -> Composed:
    """Those of the rows `where` that reject rules name, as a SELECT: source key, the first rule that holds, the row as JSON."""
    select = "SELECT {}, {}, row_to_json({})::text FROM {} WHERE {}"
    alone = SQL("({}) AND {}").format(where, _rejected_alone(table))
    arms: list[tuple[Composable, Composable]] = [(_reason(table), alone)]
    arms += [(Literal(rule.name), condition) for rule, condition in looked_up(plan, table, where)]
    return SQL(" UNION ALL ").join(
        SQL(select).format(source_key(table), reason, Identifier(table.source), source_table(plan, table), condition)
        for reason, condition in arms
    )


def _rejected_alone(table: Table, *, casts: bool = True) -> Composable:
    """As `rejected`, by the rules that look at the row alone."""
    return rejected(replace(table, reject=tuple(rule for rule in table.reject if not rule.looks_up)), casts=casts)


def _not_among(plan: Plan, table: Table, condition: Composable) -> Composed:
    """True for the rows that are not among those of the same table that the condition holds for."""
    if table.view:  # its rows have no place, but a key
        key = source_key(table)
        named = SQL("SELECT {} AS portal_key FROM {} WHERE {}").format(key, source_table(plan, table), condition)
        return SQL("NOT EXISTS (SELECT FROM ({}) AS portal_named WHERE portal_key = {})").format(named, key)
    among = SQL("SELECT tableoid AS portal_table, ctid AS portal_row FROM {} WHERE {}")
    return SQL("NOT EXISTS (SELECT FROM ({}) AS portal_named WHERE portal_table = {}.tableoid AND portal_row = {}.ctid)").format(
        among.format(source_table(plan, table), condition), Identifier(table.source), Identifier(table.source)
    )  # fmt: skip


def _reason(table: Table) -> Composable:
    """The name of the first rule that holds of those that look at the row alone, as text."""
    alone = (rule for rule in table.reject if not rule.looks_up)
    cases = [SQL("WHEN ({}) IS TRUE THEN {}").format(raw(rule.sql), Literal(rule.name)) for rule in alone]
    return SQL("CASE {} END").format(SQL(" ").join(cases)) if cases else SQL("NULL::text")


def source_key(table: Table) -> Composed:
    """The source key as text[]."""
    return SQL("ARRAY[{}]::text[]").format(SQL(", ").join(SQL("{}::text").format(Identifier(k)) for k in table.key))


def target_key(columns: Sequence[str], alias: str = "") -> Composed:
    """A target key as text[], of the target row or of a mapped sub-select: both have the same names and types."""
    row = raw(f"{alias}." if alias else "")
    return SQL("ARRAY[{}]::text[]").format(
        SQL(", ").join(SQL("{}{}::text").format(row, Identifier(c)) for c in columns)
    )


def same(left: Iterable[str], right: Iterable[str], left_alias: str, right_alias: str) -> Composed:
    """left_alias.column = right_alias.column for each pair of columns, joined by AND."""
    parts = [
        SQL("{}.{} = {}.{}").format(raw(left_alias), Identifier(a), raw(right_alias), Identifier(b))
        for a, b in zip(left, right, strict=True)
    ]
    return SQL(" AND ").join(parts)


def all_set(columns: Iterable[str], alias: str = "") -> Composed:
    """True where none of the columns is NULL."""
    row = raw(f"{alias}." if alias else "")
    return SQL(" AND ").join(SQL("{}{} IS NOT NULL").format(row, Identifier(column)) for column in columns)


def orphan(columns: Sequence[str], parent: Composable, parent_columns: Sequence[str]) -> Composable:
    """True for rows `s` whose foreign key is set and leads nowhere."""
    return SQL("{set} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {joined})").format(
        set=all_set(columns, "s"), parent=parent, joined=same(parent_columns, columns, "p", "s")
    )


def key_range(key: Sequence[str], lower: Sequence[str] | None, upper: Sequence[str] | None) -> Composable:
    """The half-open range lower <= key < upper; None leaves an end open."""
    names = SQL("({})").format(SQL(", ").join(map(Identifier, key)))
    parts: list[Composable] = []
    for operator, bound in ((">=", lower), ("<", upper)):
        if bound is not None:
            values = SQL("({})").format(SQL(", ").join(map(Literal, bound)))
            parts.append(SQL("{} {} {}").format(names, SQL(operator), values))
    return SQL(" AND ").join(parts) if parts else SQL("true")


def mapped(
    plan: Plan,
    table: Table,
    target: TableInfo,
    *,
    where: Composable,
    extra: Iterable[Composable] = (),
    guarded: bool = True,
) -> Composed:
    """The mapped rows that no reject rule names, as a SELECT; `extra` select-list items come last.

    Not `guarded`, a cast that fails on some row fails the query, which is otherwise a third faster.
    """
    columns = SQL(", ").join([mapped_columns(table, target), *extra])
    return SQL("SELECT {} FROM {} WHERE ({}) AND {}").format(
        columns, source_table(plan, table), where, kept(plan, table, where, casts=guarded)
    )


def comparable(columns: Iterable[str], target: TableInfo) -> Composed:
    """A ROW(…) over target column names whose fields can all be hashed and compared."""
    parts = [
        SQL("{}::{}").format(Identifier(name), raw(kind))
        if (kind := _hashed_as(target.columns[name]))
        else Identifier(name)
        for name in columns
    ]
    return SQL("ROW({})").format(SQL(", ").join(parts))


def by_its_text(column: ColumnInfo) -> bool:
    """json has no equality; that of a type of one server's own (citext) may be looser than ours."""
    return column.type in _UNHASHABLE or column.sent_as != column.type


def _hashed_as(column: ColumnInfo) -> str:
    """Empty when it is hashed as it is; a type of one server's own hashes by numbers of its own."""
    return "text" if column.type in _UNHASHABLE else column.sent_as if by_its_text(column) else ""


def planned_foreign_keys(plan: Plan, table: Table, catalog: Catalog) -> list[ForeignKey]:
    """The target's foreign keys that lead to a table of the same plan (not to itself)."""
    planned = {other.target for other in plan.tables} - {table.target}
    return [
        key
        for key in catalog[table.target].foreign_keys
        if key.parent in planned and all(table.column(c) for c in key.columns)
    ]
