"""Completeness: of each table's rows, how many can be mapped, what stays behind, and what is worth knowing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import quarantine
from migration_portal.engine.errors import describe
from migration_portal.plan import arriving, checks, compile, uniques
from migration_portal.plan.model import Catalog, Plan, Table, TableInfo, Unique

_SAMPLE = 5


@dataclass
class Counted:
    """Rows that a rule is about, with sample keys."""

    rule: str
    count: int
    sample: list[str]
    advice: str = ""


@dataclass
class TableCompleteness:
    """`mappable` rows will arrive; `rejected` ones will be quarantined, by reason; `quality` ones arrive as they are."""

    table: str
    source: str
    total: int
    mappable: int
    unmapped_fields: list[str]
    ignored_fields: list[str]
    rejected: list[Counted] = field(default_factory=list)
    quality: list[Counted] = field(default_factory=list)
    error: str = ""
    unforeseen: list[str] = field(default_factory=list)
    """Unique indexes of the IAM over what the plan does not map, or what legacy cannot compute."""

    @property
    def kept_out(self) -> int:
        return sum(rule.count for rule in self.rejected)


def completeness(legacy: Connection[Any], plan: Plan, source: Catalog, target: Catalog) -> list[dict[str, Any]]:
    """One entry a table of the plan, as plain data. An expression that fails is told in `error`, not raised."""
    found: list[TableCompleteness] = []
    for table in plan.tables:
        found.append(_table(legacy, plan, table, source, target, found))
    return [asdict(each) for each in found]


def _table(
    legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog, before: list[TableCompleteness]
) -> TableCompleteness:
    total = _number(legacy, SQL("SELECT count(*) FROM {}").format(compile.source_table(plan, table)))
    unmapped = checks.unmapped(plan, table, source[table.source])
    result = TableCompleteness(table.target, table.source, total, 0, unmapped, list(table.ignored))
    rejected: Composable = SQL("false")
    for rule in (rule for rule in table.reject if not rule.looks_up):
        first = SQL("({}) IS TRUE AND NOT ({})").format(compile.raw(rule.sql), rejected)
        result.rejected.append(_count(legacy, plan, table, rule.name, first, rule.advice))
        rejected = SQL("{} OR ({}) IS TRUE").format(rejected, compile.raw(rule.sql))
    for rule, condition in compile.looked_up(plan, table, SQL("true")):
        result.rejected.append(_count(legacy, plan, table, rule.name, condition, rule.advice))
    try:
        with legacy.transaction():
            result.rejected += _refused(legacy, plan, table, source, target)
            arrive = _mappable(legacy, plan, table, source, target)
            if total > arrive + result.kept_out:
                result.rejected += _without_parent(legacy, plan, table, source, target)
            doubled = _doubled(plan, table, target, before)
            if doubled or total > arrive + result.kept_out:
                key = Unique(target[table.target].primary_key)
                result.rejected.append(_twice(legacy, plan, table, source, target, key, quarantine.DOUBLE, doubled))
            _count_collisions(legacy, plan, table, source, target, result)
        result.mappable = total - result.kept_out
    except psycopg.Error as error:
        result.error = str(describe(error, subject=table.target))
    for rule in table.quality:
        result.quality.append(_count(legacy, plan, table, rule.name, compile.raw(rule.sql), rule.advice))
    result.rejected = [rule for rule in result.rejected if rule.count]
    result.quality = [rule for rule in result.quality if rule.count]
    return result


def _mappable(legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog) -> int:
    """count(m), of whole rows: every mapped expression is computed, so that one that fails fails here."""
    keys = SQL(", ").join(map(Identifier, target[table.target].primary_key))
    rows = arriving.mappable(plan, table, source, target)
    return _number(
        legacy,
        SQL("SELECT count(rows) FROM (SELECT {}, count(m) AS rows FROM ({}) AS m GROUP BY {}) AS g").format(
            keys, rows, keys
        ),
    )


def _refused(legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog) -> Iterator[Counted]:
    """Values that do not fit the IAM's columns; a row with several is counted once."""
    rows, before = arriving.mapped(plan, table, target), SQL("false")
    for each in arriving.unfit(table, source[table.source], target[table.target]):
        condition = SQL("{} AND NOT ({})").format(each.condition("m"), before)
        before = SQL("{} OR {}").format(before, each.condition("m"))  # type: ignore[assignment]
        found = _of_mapped(legacy, rows, condition, each.reason, "")
        name = each.column.name
        if not found.count:
            continue
        if each.most is None:
            found.advice = (
                f"The IAM's {name} is NOT NULL: give it a value, as with coalesce(…), or reject these rows by name."
            )
        else:
            longest = _number(legacy, SQL("SELECT max(length({}::text)) FROM ({}) AS m").format(Identifier(name), rows))
            found.advice = (
                f"The IAM's {name} has room for {each.most} characters, the longest value has {longest:,}: widen the column with a"
                " schema script, or map a shorter value."
            )
        yield found


def _without_parent(
    legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog
) -> Iterator[Counted]:
    """A row without several is counted once."""
    rows, before = arriving.fitting(plan, table, source, target), SQL("false")
    for parent, missing in arriving.missing(plan, table, source, target):
        condition = SQL("{} AND NOT ({})").format(missing, before)
        before = SQL("{} OR {}").format(before, missing)  # type: ignore[assignment]
        advice = f"The row of {parent} that they refer to does not exist or cannot arrive."
        yield _of_mapped(legacy, rows, condition, f"missing_{parent}", advice, alias="child")


def _uniques(table: Table, source: Catalog, target: Catalog) -> Iterator[tuple[str, Unique]]:
    """The IAM's unique indexes; not those over columns that are one and the same in legacy, and unique there, or stay empty."""
    known = [set(key) for key in source[table.source].keys]
    for name, unique in target[table.target].uniques.items():
        mapped = {column.sql for column in table.columns if column.name in unique.columns}
        if not unique.plain or (uniques.filled(unique, table) and mapped not in known):
            yield name, unique


def _count_collisions(
    legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog, result: TableCompleteness
) -> None:
    """Rows that collide in each unique index, or the index as unforeseen."""
    for name, unique in _uniques(table, source, target):
        if not uniques.filled(unique, table):
            result.unforeseen.append(name)
            continue
        try:
            with legacy.transaction():
                twice = _twice(legacy, plan, table, source, target, unique, uniques.reason(unique))
        except (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedObject):
            result.unforeseen.append(name)
        else:
            result.rejected.append(twice)


def _doubled(plan: Plan, table: Table, target: Catalog, before: Sequence[TableCompleteness]) -> list[Table]:
    """The table's parents, made of the same rows, that have rows which the IAM takes for one: what else is made of those stays with
    them.
    """
    doubles = {
        each.table for each in before if any(rule.rule == quarantine.DOUBLE and rule.count for rule in each.rejected)
    }
    parents = {key.parent for key in target[table.target].foreign_keys} & doubles - {table.target}
    return [each for each in plan.siblings(table.source) if each.target in parents]


def _twice(
    legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog, unique: Unique, reason: str,
    doubled: Sequence[Table] = (),
) -> Counted:  # fmt: skip
    """Rows that are there before in the IAM's key or a unique index; of those the first stays. And those of `doubled` parents.

    Raises psycopg.errors.UndefinedFunction or UndefinedObject where legacy cannot compute what the index compares.
    """
    twice = _numbered(plan, table, source, target, unique)
    second: Composable = SQL("m.portal_n > 1")
    for parent in doubled:
        theirs = _numbered(plan, parent, source, target, Unique(target[parent.target].primary_key))
        key = Identifier(arriving.KEY)
        second = second + SQL(" OR m.{} IN (SELECT {} FROM ({}) AS p WHERE p.portal_n > 1)").format(key, key, theirs)
    advice = (
        f"Several legacy rows have one {' and '.join(unique.parts or unique.columns)} in the IAM: the first stays."
        " Correct them in legacy."
    )
    return _of_mapped(legacy, twice, second, reason, advice)


def _numbered(plan: Plan, table: Table, source: Catalog, target: Catalog, unique: Unique) -> Composable:
    """The rows that can be mapped, numbered among those that are alike."""
    return SQL(
        "SELECT m.*, row_number() OVER (PARTITION BY {} ORDER BY {}) AS portal_n FROM ({}) AS m WHERE {}"
    ).format(
        _alike(unique, target[table.target]), Identifier(arriving.KEY),
        arriving.mappable(plan, table, source, target), uniques.counts(unique),
    )  # fmt: skip


def _alike(unique: Unique, info: TableInfo) -> Composable:
    """What the index compares, in legacy: a citext is sent as the text that it is made of, which knows capitals."""
    if not unique.plain:
        return uniques.listed(unique)
    parts = zip(unique.columns, uniques.values(unique), strict=True)
    return SQL(", ").join(
        SQL("lower({})").format(value) if info.columns[name].type.endswith("citext") else value for name, value in parts
    )


def _of_mapped(
    legacy: Connection[Any], rows: Composable, condition: Composable, rule: str, advice: str, alias: str = "m"
) -> Counted:
    where = SQL("FROM ({}) AS {} WHERE {}").format(rows, Identifier(alias), condition)
    return _sampled(legacy, rule, where, Identifier(arriving.KEY), advice)


def _count(legacy: Connection[Any], plan: Plan, table: Table, name: str, condition: Composable, advice: str) -> Counted:
    where = SQL("FROM {} WHERE {}").format(compile.source_table(plan, table), condition)
    with legacy.transaction():
        return _sampled(legacy, name, where, compile.source_key(table), advice)


def _sampled(legacy: Connection[Any], rule: str, where: Composed, key: Composable, advice: str) -> Counted:
    count = _number(legacy, SQL("SELECT count(*) {}").format(where))
    sample: list[str] = []
    if count:
        keys = SQL("SELECT {} {} LIMIT {}").format(key, where, Literal(_SAMPLE))
        sample = [", ".join(row[0]) for row in legacy.execute(keys)]
    return Counted(rule, count, sample, advice)


def _number(legacy: Connection[Any], statement: Composed) -> int:
    with legacy.transaction():
        row = legacy.execute(statement).fetchone()
    assert row is not None
    return int(row[0])
