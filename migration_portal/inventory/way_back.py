"""Whether the plan's reverse sections lead back: executed on both sides, and counted over every legacy row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL

from migration_portal.engine import returning
from migration_portal.engine.errors import describe
from migration_portal.plan import checks, directions, round_trip
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Column, Plan, Table

_TRIED = 1000
"""Rows of the IAM that the expressions are tried on."""
_SAMPLE = 3
_LONGEST = 60


def way_back(
    legacy: Connection[Any], iam: Connection[Any], plan: Plan, source: Catalog, target: Catalog
) -> Iterator[Finding]:
    """Raises PlanError where a parent cannot be found."""
    for name, columns in checks.lost_in_reverse(plan, source).items():
        yield Finding(
            "warning", name, f"Reversing would lose: {', '.join(columns)}.",
            "Add them to the plan's reverse section; tenants cannot be cut over until then.",
        )  # fmt: skip
    failing = returning.failing(iam, directions.backward(plan, source, target), source, rows=_TRIED)
    for subject, (column, error) in failing.items():
        yield Finding(
            "error", subject, f"Its reverse expression fails: {_why(error)}",
            f"Correct it in the reverse section: {column.sql}",
        )  # fmt: skip
    for table in plan.tables:
        for column in round_trip.uncertain(table, target[table.target]):
            if f"{table.source}.{column.name}" not in failing:
                yield from _counted(legacy, plan, table, column, source, target)


def _counted(
    legacy: Connection[Any], plan: Plan, table: Table, column: Column, source: Catalog, target: Catalog
) -> Iterator[Finding]:
    """How many rows would come back with something else in the column."""
    about = f"{table.source}.{column.name}"
    try:
        with legacy.transaction():
            row = legacy.execute(round_trip.count(plan, table, [column], source, target, SQL("true"))).fetchone()
            rows, changed = row or (0, 0)
            wanted = round_trip.sample(plan, table, column, source, target, _SAMPLE)
            shown = legacy.execute(wanted).fetchall() if changed and column.name not in table.secret else []
    except psycopg.Error as error:
        yield Finding(
            "warning", about, f"What it would come back as cannot be computed in legacy: {_why(error)}",
            "Write the reverse expression so that both databases can compute it; reversing may change the column.",
        )  # fmt: skip
        return
    if not changed:
        return
    examples = "; ".join(f"{', '.join(key)}: {_short(was)} → {_short(becomes)}" for key, was, becomes in shown)
    what = (
        f"It would come back as something else in {changed:,} of {rows:,} rows{f' ({examples})' if examples else ''}."
    )
    if column.name in table.lossy:
        yield Finding("info", about, what, "The plan accepts that: legacy keeps its own where the IAM changes nothing.")
    else:
        yield Finding(
            "warning", about, what,
            f'Correct its reverse expression, or accept it by name: lossy = ["{column.name}"]. Until then tenants with such rows'
            " cannot be cut over.",
        )  # fmt: skip


def _short(value: str | None) -> str:
    return "NULL" if value is None else repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")


def _why(error: psycopg.Error) -> str:
    return describe(error, subject="").what
