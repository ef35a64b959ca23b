"""Does a plan fit two real schemas? Pure: the catalogs are read elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Catalog, Column, ColumnInfo, Given, Plan, Read, Table, TableInfo

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One observation: an `error` stops a run, a `warning` wants a decision, an `info` is only told."""

    severity: Severity
    subject: str
    what: str
    todo: str = ""


def check(plan: Plan, source: Catalog, target: Catalog) -> list[Finding]:
    """Compare the plan with both schemas."""
    findings: list[Finding] = []
    seen: set[str] = set()
    for table in plan.tables:
        findings += _table(plan, table, source, target)
        if info := target.get(table.target):
            findings += _order(plan, info, seen)
        seen.add(table.target)
    for row in plan.rows:
        findings += _given(row, target)
    findings += _two_ways_back(plan)
    return findings


def _two_ways_back(plan: Plan) -> Iterator[Finding]:
    for source in plan.sources:
        back = [table.target for table in plan.siblings(source) if table.reverse]
        if len(back) > 1:
            yield Finding(
                "error", source, f"{' and '.join(back)} come back into it: what is deleted of one would be deleted of the other.",
                "Keep one reverse section; list the columns that the others would fill under its 'lossy' or 'ignored'.",
            )  # fmt: skip


def _given(row: Given, target: Catalog) -> Iterator[Finding]:
    there = target.get(row.target)
    if there is None:
        yield _no_such_table(row.target)
    else:
        yield from _filled(row.columns, there)


def _table(plan: Plan, table: Table, source: Catalog, target: Catalog) -> Iterator[Finding]:
    here, there = source.get(table.source), target.get(table.target)
    if here is None:
        yield Finding(
            "error",
            table.source,
            "The legacy database has no such table.",
            "Correct 'source' in the plan, check LEGACY_DATABASE_URL, or grant SELECT on it.",
        )
    if there is None:
        yield _no_such_table(table.target)
    yield from _unspeakable(table)
    if here is not None:
        yield from _source_side(plan, table, here)
        for read in table.reads:
            yield from _read(plan, table, read, source)
    if there is not None:
        yield from _filled(table.columns, there)


def _unspeakable(table: Table) -> Iterator[Finding]:
    """Names that not every statement of ours can say."""
    columns = [column.name for column in (*table.columns, *table.reverse)]
    columns += [name for read in table.reads for name in (*read.link, *(column.name for column in read.reverse))]
    for name in dict.fromkeys(
        [table.source, table.target, *(read.source for read in table.reads), *table.key, *columns]
    ):
        if set(name) & set('%"'):
            yield Finding(
                "error", name, "Its name has a percent sign or a quotation mark in it, which our statements cannot say.",
                "Have its owner rename it, or read a view that calls it otherwise.",
            )  # fmt: skip


def _source_side(plan: Plan, table: Table, here: TableInfo) -> Iterator[Finding]:
    yield from _there(here, [*table.key, *table.ignored], "The plan names a legacy column that does not exist.")
    if here.view != table.view:
        yield _no_view(table) if table.view else _a_view(table)
    elif not here.view and not _tells_apart(here, table.key):
        what = "has no primary key" if not here.primary_key else f"is not unique by ({', '.join(table.key)})"
        yield Finding(
            "error", table.source, f"The legacy table {what}: its rows cannot be told apart.",
            "Set 'key' to a primary key or unique NOT NULL columns; or have the legacy owner add one.",
        )  # fmt: skip
    yield from _way_back(table.source, table.key, table.reverse, here)
    for column in unmapped(plan, table, here):
        yield Finding(
            "warning", f"{table.source}.{column}", "This legacy column is mapped nowhere: its values stay behind.",
            "Map it, or list it under 'ignored'.",
        )  # fmt: skip


def _a_view(table: Table) -> Finding:
    return Finding(
        "error", table.source, "It is a view of legacy's, and the plan does not say so.",
        "Write view = true, and name the tables that it is made of under 'reads', or fill from a table.",
    )  # fmt: skip


def _no_view(table: Table) -> Finding:
    return Finding("error", table.source, "The plan calls it a view, and it is a table.", "Take view = true away.")


def _there(info: TableInfo, names: Iterable[str], otherwise: str) -> Iterator[Finding]:
    for name in names:
        if name not in info.columns:
            yield Finding("error", f"{info.name}.{name}", otherwise, f"Columns are: {', '.join(info.columns)}.")


def _unique(info: TableInfo, columns: Sequence[str]) -> bool:
    return set(columns) in map(set, info.keys) and bool(columns)


def _tells_apart(info: TableInfo, columns: Sequence[str]) -> bool:
    """Whether the columns tell every row from every other: rows with a NULL in them they do not."""
    of_primary = set(columns) == set(info.primary_key)
    return _unique(info, columns) and (of_primary or all(info.columns[name].not_null for name in columns))


def _read(plan: Plan, table: Table, read: Read, source: Catalog) -> Iterator[Finding]:
    """A table that expressions read: its columns, and the way back into it."""
    here = source.get(read.source)
    if here is None:
        yield Finding("error", read.source, "The legacy database has no such table.", "Correct 'reads' in the plan.")
        return
    if here.view:
        yield Finding(
            "error", read.source, "It is a view: nothing can be watched there.", "Name the tables that it is made of."
        )
    yield from _there(here, [*read.link, *read.ignored], "The plan names a legacy column that does not exist.")
    yield from _linked(table, read, source[table.source], here)
    if table.view and not read.tenant and belongs(plan, table.source):
        yield Finding(
            "error", read.source, f"Whose a row is that {table.source} has no more could not be said.",
            'Say it of its own row: tenant = "org", SQL over it, as legacy writes the tenant.',
        )  # fmt: skip
    counted = [column for column in read.reverse if column.number and column.name in read.link]
    if table.view and (faulty := [c.name for c in counted if c.number and c.number.of in (table.source, read.source)]):
        yield Finding(
            "error", f"{read.source}.{faulty[0]}", "Rows of a view cannot be numbered: none that the IAM has made could come back.",
            "Let an expression give the key, or drop the reverse section.",
        )  # fmt: skip
    if read.reverse and (read.source in plan.sources or table.source_tenant is None):
        yield Finding(
            "error", read.source, "There is no way back into a table that is read and is a source itself, or whose reader has no"
            " tenant of its own.", "Write it back by the reverse section of its own table, or drop this one.",
        )  # fmt: skip
    if read.reverse and not _unique(here, read.link):
        yield Finding(
            "error", read.source, f"It is not unique by ({', '.join(read.link)}): which row reversing writes cannot be told.",
            "Have the legacy owner add a unique constraint, or drop the reverse section.",
        )  # fmt: skip
    yield from _way_back(read.source, read.link, read.reverse, here)
    yield from _told(plan, table, read, source)


def _linked(table: Table, read: Read, reader: TableInfo, here: TableInfo) -> Iterator[Finding]:
    for name, key in zip(read.link, read.key, strict=True):
        mine, theirs = reader.columns.get(key), here.columns.get(name)
        if mine and theirs and _written_as(mine) != _written_as(theirs):
            yield Finding(
                "error", f"{read.source}.{name}", f"It is {theirs.type}, the key {key} is {mine.type}: changes would not be found.",
                "Have the legacy owner make them the same type, or run without capture.",
            )  # fmt: skip
        elif mine and theirs and (mine.loose or theirs.loose):
            yield Finding(
                "error", f"{read.source}.{name}",
                f"It is {theirs.type}: {key} may be written otherwise, and changes would not be found.",
                "Have the legacy owner, or the view, give both a type that writes a value in one way, such as text or integer.",
            )  # fmt: skip


def _told(plan: Plan, table: Table, read: Read, source: Catalog) -> Iterator[Finding]:
    """Columns of a table that is read of which the plan says nothing."""
    here = source[read.source]
    told = {*words(f"{_expressions(plan)} {read.tenant}"), *read.link, *read.ignored}
    if table.view:
        # What a view makes of a column as a rule is called so.
        told |= source[table.source].columns.keys() | {column.name for column in read.reverse}
    for name in here.columns:
        if name not in told and read.source not in plan.sources and name not in here.primary_key:
            yield Finding(
                "warning", f"{read.source}.{name}", "This legacy column is mapped nowhere: its values stay behind.",
                "Map it, or list it under 'ignored' of the table that reads it.",
            )  # fmt: skip


def _written_as(column: ColumnInfo) -> str:
    """Types whose values are written alike as text."""
    if column.type in ("text", "character varying", "bpchar"):
        return "text"
    return "integer" if column.type in ("smallint", "integer", "bigint") else column.type


def _expressions(plan: Plan) -> str:
    return " ".join(column.reading for table in plan.tables for column in table.columns)


def _way_back(source: str, key: Sequence[str], reverse: Sequence[Column], here: TableInfo) -> Iterator[Finding]:
    """What a reverse section must do, seen from the catalog alone."""
    if not reverse:
        return
    restored = [column.name for column in reverse]
    yield from _there(here, restored, "The reverse section fills a legacy column that does not exist.")
    if missing := [name for name in key if name not in restored]:
        yield Finding(
            "error", f"{source}.{missing[0]}", "The reverse section does not fill the key: no row could come back.",
            "Add it to the reverse section.",
        )  # fmt: skip
    if _deferred(here, key):
        yield _deferrable(source, key)
    for info in here.columns.values():
        if info.name in restored and (info.computed or (info.numbered and info.name not in key)):
            yield Finding(
                "error", f"{source}.{info.name}", "Its server gives it its value: nobody else can write it.",
                "Take it out of the reverse section; list it under 'ignored', if it is not derived from the row.",
            )  # fmt: skip
        if info.not_null and not info.has_default and not info.computed and info.name not in {*restored, *key}:
            yield Finding(
                "error", f"{source}.{info.name}",
                "This legacy column is NOT NULL and the reverse section gives it no value: no row born in the IAM could come back.",
                "Add an expression or a constant to the reverse section.",
            )  # fmt: skip


def _deferred(info: TableInfo, key: Sequence[str]) -> bool:
    """Whether all that makes the key unique holds at the end of a transaction alone."""
    held, late = (sum(set(key) == set(each) for each in some) for some in (info.keys, info.deferrable))
    return 0 < held <= late


def _deferrable(table: str, key: Sequence[str]) -> Finding:
    return Finding(
        "error", table, f"Its unique constraint of ({', '.join(key)}) is deferrable: rows cannot be written by it.",
        "Have its owner make it NOT DEFERRABLE, or add a unique index.",
    )  # fmt: skip


def unmapped(plan: Plan, table: Table, here: TableInfo) -> list[str]:
    """The source columns that no expression of any table plan over the same source mentions, and none ignores."""
    siblings = plan.siblings(table.source)
    if siblings[0] is not table:
        return []  # told once a source
    text = " ".join(column.reading for other in siblings for column in other.columns)
    ignored = {name for other in siblings for name in other.ignored}
    mentioned = set(words(text))
    return [name for name in here.columns if name not in mentioned and name not in ignored]


def _no_such_table(name: str) -> Finding:
    return Finding("error", name, "The IAM has no such table.", "Apply the IAM schema scripts, or correct 'target'.")


def _filled(columns: Sequence[Column], there: TableInfo) -> Iterator[Finding]:
    """Whether a row of these columns can be one of the IAM's table."""
    names = [column.name for column in columns]
    yield from _there(there, names, "The plan fills a column that the IAM does not have.")
    for info in there.columns.values():
        if info.computed and info.name in names:
            yield Finding(
                "error", f"{there.name}.{info.name}", "Its server computes it: nobody can write it.", "Take it out of the plan.",
            )  # fmt: skip
        if info.not_null and not info.has_default and info.name not in names:
            yield Finding(
                "error", f"{there.name}.{info.name}", "This column is NOT NULL and the plan gives it no value.",
                "Add an expression or a default.",
            )  # fmt: skip
        if info.numbered and info.name in names and info.name not in there.primary_key:
            yield Finding(
                "error", f"{there.name}.{info.name}", "Its server alone numbers it (GENERATED ALWAYS): no change could be written.",
                "Make it GENERATED BY DEFAULT in a schema script, or take it out of the plan.",
            )  # fmt: skip
    if _deferred(there, there.primary_key):
        yield _deferrable(there.name, there.primary_key)
    if not there.primary_key:
        yield Finding("error", there.name, "The IAM table has no primary key.", "Add one in a schema script.")
    elif missing := [name for name in there.primary_key if name not in names]:
        yield Finding("error", there.name, f"The plan does not fill the primary key ({', '.join(missing)}).", "Map it.")


def _order(plan: Plan, info: TableInfo, seen: set[str]) -> Iterator[Finding]:
    planned = {table.target for table in plan.tables}
    for key in info.foreign_keys:
        if key.parent in planned and key.parent not in seen and key.parent != info.name:
            yield Finding(
                "error", info.name, f"It refers to {key.parent}, which the plan fills only later.",
                f"List {key.parent} before {info.name}.",
            )  # fmt: skip


def belongs(plan: Plan, source: str) -> bool:
    """Whether the source's rows are somebody's: rows of nobody never leave legacy, and need no way back."""
    return any(table.source_tenant or table.through for table in plan.siblings(source))


def lost_in_reverse(plan: Plan, source: Catalog) -> dict[str, list[str]]:
    """Per source table, the columns that reversing does not restore, nor legacy compute. Empty lists are left out."""
    lost: dict[str, list[str]] = {}
    for name in plan.sources:
        if not belongs(plan, name) or source[name].view:
            continue
        restored = {column.name for table in plan.tables if table.source == name for column in table.reverse}
        ignored = {column for table in plan.tables if table.source == name for column in table.ignored}
        columns = source[name].columns.values()
        if missing := [c.name for c in columns if not c.computed and c.name not in restored | ignored]:
            lost[name] = missing
    readers = [table for table in plan.tables if table.source_tenant or table.through]
    for name in set(plan.watched) - set(plan.sources):
        reads = [read for table in readers for read in table.reads if read.source == name]
        mapped = set(words(" ".join(column.reading for table in readers for column in table.columns)))
        if any(read.source == name for table in readers if table.view for read in table.reads):
            mapped |= source[name].columns.keys()  # the view may map it under another name
        restored = {column.name for read in reads for column in read.reverse}
        restored = restored.union(*({*read.link, *read.ignored} for read in reads))
        columns = source[name].columns.values()
        if reads and (
            missing := [c.name for c in columns if c.name in mapped and c.name not in restored and not c.computed]
        ):
            lost[name] = missing
    return lost
