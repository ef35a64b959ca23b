"""Whether the plan's reverse sections lead back: executed on both sides, and counted over every legacy row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL

from migration_portal.engine import numbers, returning
from migration_portal.engine.errors import describe
from migration_portal.plan import checks, directions, round_trip
from migration_portal.plan.checks import Finding
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Catalog, Column, Plan
from migration_portal.plan.round_trip import RoundTrip

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
    back = directions.backward(plan, source, target)
    for refusal in returning.unfollowed(plan, back, source, target):
        yield Finding("error", refusal.subject, refusal.what, refusal.todo)
    for refusal in (*returning.hindered(legacy, back), *numbers.unnumberable(legacy, plan)):
        yield Finding("warning", refusal.subject, refusal.what, f"{refusal.todo} Until then no tenant can be cut over.")
    failing = returning.failing(iam, back, source, rows=_TRIED)
    for subject, (column, error) in failing.items():
        yield Finding(
            "error", subject, f"Its reverse expression fails: {describe(error).what}",
            f"Correct it in the reverse section: {column.sql}",
        )  # fmt: skip
    for refusal in returning.leaving(legacy, plan, source, target):
        yield Finding("warning", refusal.subject, refusal.what, f"{refusal.todo} Until then no tenant can be cut over.")
    for trip in round_trip.round_trips(plan, source, target):
        counted = {column.name for column in returning.computable(legacy, trip)}
        yield from _reborn(legacy, trip)
        for column in trip.uncertain():
            if f"{trip.name}.{column.name}" in failing:
                continue
            if column.name in counted:
                yield from _counted(legacy, trip, column)
            else:
                yield Finding(
                    "warning", f"{trip.name}.{column.name}", "What it would come back as cannot be computed in legacy.",
                    "Write the reverse expression so that both databases can compute it; reversing may change the column.",
                )  # fmt: skip


def _reborn(legacy: Connection[Any], trip: RoundTrip) -> Iterator[Finding]:
    """Whether what is born in the IAM could come back and go again."""
    if (asked := trip.reborn()) is None:
        return
    try:
        with legacy.transaction():
            same = legacy.execute(asked).fetchone()
    except (psycopg.ProgrammingError, psycopg.DataError):
        same = None
    if not same or not same[0]:
        yield Finding(
            "warning", trip.name, "A row that is born in the IAM would come back under a key that the IAM knows it not by.",
            "Its tenant could not return. Let legacy keep the IAM's id, or finalize the tenant before anything is born there.",
        )  # fmt: skip


def _counted(legacy: Connection[Any], trip: RoundTrip, column: Column) -> Iterator[Finding]:
    """How many rows would come back with something else in the column."""
    about = f"{trip.name}.{column.name}"
    try:
        with legacy.transaction():
            row = legacy.execute(trip.count([column], SQL("true"))).fetchone()
            rows, changed = row or (0, 0)
            secret = trip.table.secret & {column.name, *words(column.reading)}
            shown = legacy.execute(trip.sample(column, _SAMPLE)).fetchall() if changed and not secret else []
    except psycopg.DataError as error:
        yield Finding(
            "warning", about, f"What it would come back as cannot be computed of some row: {describe(error).what}",
            "Add a reject rule that names the rows, or correct the expression.",
        )  # fmt: skip
        return
    if not changed:
        return
    examples = "; ".join(f"{', '.join(key)}: {_short(was)} → {_short(becomes)}" for key, was, becomes in shown)
    what = (
        f"It would come back as something else in {changed:,} of {rows:,} rows{f' ({examples})' if examples else ''}."
    )
    if column.name in trip.lossy:
        yield Finding("info", about, what, "The plan accepts that: legacy keeps its own where the IAM changes nothing.")
    elif column.name in trip.key:
        yield Finding("error", about, what, "Correct its reverse expression: each would come back as a second row.")
    else:
        yield Finding(
            "warning", about, what,
            f'Correct its reverse expression, or accept it by name: lossy = ["{column.name}"]. Until then tenants with such rows'
            " cannot be cut over.",
        )  # fmt: skip


def _short(value: str | None) -> str:
    return "NULL" if value is None else repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")
