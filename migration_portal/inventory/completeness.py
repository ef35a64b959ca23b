"""Completeness: of each table's rows, how many can be mapped, what stays behind, and what is worth knowing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine.errors import describe
from migration_portal.plan import checks, compile
from migration_portal.plan.model import Catalog, Plan, Table

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


def completeness(legacy: Connection[Any], plan: Plan, source: Catalog, target: Catalog) -> list[dict[str, Any]]:
    """One entry a table of the plan, as plain data. An expression that fails is told in `error`, not raised."""
    return [asdict(_table(legacy, plan, table, source, target)) for table in plan.tables]


def _table(legacy: Connection[Any], plan: Plan, table: Table, source: Catalog, target: Catalog) -> TableCompleteness:
    total = _number(legacy, SQL("SELECT count(*) FROM {}").format(compile.source_table(plan, table)))
    unmapped = checks.unmapped(plan, table, source[table.source])
    result = TableCompleteness(table.target, table.source, total, 0, unmapped, list(table.ignored))
    keys = SQL(", ").join(map(Identifier, target[table.target].primary_key))
    try:
        with legacy.transaction():
            # count(m), of whole rows: every mapped expression is computed, so that one that fails fails here.
            mappable = SQL(
                "SELECT count(rows) FROM (SELECT {}, count(m) AS rows FROM ({}) AS m GROUP BY {}) AS g"
            ).format(keys, compile.mappable(plan, table, target), keys)
            result.mappable = _number(legacy, mappable)
    except psycopg.Error as error:
        result.error = str(describe(error, subject=table.target))
    rejected: Composable = SQL("false")
    for rule in table.reject:
        condition = SQL("({}) IS TRUE AND NOT ({})").format(compile.raw(rule.sql), rejected)
        result.rejected.append(_count(legacy, plan, table, rule.name, condition, rule.advice))
        rejected = SQL("{} OR ({}) IS TRUE").format(rejected, compile.raw(rule.sql))
    missing = total - result.mappable - sum(rule.count for rule in result.rejected)
    if missing > 0 and not result.error:
        result.rejected.append(
            Counted("missing parent or duplicate", missing, [], "What they refer to does not exist or cannot arrive.")
        )
    for rule in table.quality:
        result.quality.append(_count(legacy, plan, table, rule.name, compile.raw(rule.sql), rule.advice))
    result.rejected = [rule for rule in result.rejected if rule.count]
    result.quality = [rule for rule in result.quality if rule.count]
    return result


def _count(legacy: Connection[Any], plan: Plan, table: Table, name: str, condition: Composable, advice: str) -> Counted:
    where = SQL("FROM {} WHERE {}").format(compile.source_table(plan, table), condition)
    with legacy.transaction():
        count = _number(legacy, SQL("SELECT count(*) {}").format(where))
        sample: list[str] = []
        if count:
            keys = SQL("SELECT {} {} LIMIT {}").format(compile.source_key(table), where, Literal(_SAMPLE))
            sample = [", ".join(row[0]) for row in legacy.execute(keys)]
    return Counted(name, count, sample, advice)


def _number(legacy: Connection[Any], statement: Composed) -> int:
    with legacy.transaction():
        row = legacy.execute(statement).fetchone()
    assert row is not None
    return int(row[0])
