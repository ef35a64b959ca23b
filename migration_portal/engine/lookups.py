"""What the IAM has for a plan's look-ups."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal.engine.errors import describe, fault_of
from migration_portal.plan import lookups
from migration_portal.plan.compile import raw
from migration_portal.plan.errors import PlanError
from migration_portal.plan.lookups import Found
from migration_portal.plan.model import Catalog, Lookup, Plan

MOST = 10_000
"""Rows of one look-up: they stand in every statement. More are a table of the plan's."""


def found(legacy: Connection[Any], iam: Connection[Any], plan: Plan, target: Catalog) -> Found:
    """The rows of each look-up that legacy could name, from an autocommit session on the IAM.

    Raises PlanError: no such table or column, no key of one column, two rows alike, too many rows, or a WHERE that the IAM
    cannot carry out.
    """
    read = {name: _read(iam, plan, lookup, target) for name, lookup in lookups.of_plan(plan).items()}
    if not read or legacy.info.parameter_status("server_encoding") == "UTF8":
        return read
    return {name: {word: key for word, key in pairs.items() if _storable(legacy, word)} for name, pairs in read.items()}


def _storable(legacy: Connection[Any], word: str) -> bool:
    """Whether legacy's encoding has all of its letters: what it has not, no row of legacy's says."""
    return word.isascii() or fault_of(legacy, SQL("SELECT {}").format(Literal(word))) is None


def with_found(legacy: Connection[Any], iam: Connection[Any], plan: Plan, target: Catalog) -> Plan:
    """The plan with what the IAM has now. Raises PlanError, as `found`."""
    return lookups.resolved(plan, found(legacy, iam, plan, target))


def _read(iam: Connection[Any], plan: Plan, lookup: Lookup, target: Catalog) -> dict[str, str]:
    there, place = target.get(lookup.of), f"{lookup.of}.{lookup.by}"
    if there is None or lookup.by not in there.columns or len(there.primary_key) != 1:
        raise PlanError(
            "The IAM has no such table and column, or the table has no primary key of one column.", subject=place,
            todo="Correct the look-up in the plan.",
        )  # fmt: skip
    select = "SELECT {by}::text, {key}::text FROM {table} WHERE {by} IS NOT NULL AND ({where}) ORDER BY 1 LIMIT {most}"
    statement = SQL(select).format(
        by=Identifier(lookup.by), key=Identifier(there.primary_key[0]), table=Identifier(plan.target_schema, lookup.of),
        where=raw(lookup.where or "true"), most=Literal(MOST + 1),
    )  # fmt: skip
    try:
        with iam.transaction():
            iam.execute("SET TRANSACTION READ ONLY")
            rows = iam.execute(statement, prepare=True).fetchall()  # one statement, whatever is in it
    except psycopg.errors.InsufficientPrivilege as error:
        raise PlanError(
            "The role may not read this IAM table.",
            subject=place,
            todo="GRANT SELECT on it to the role in IAM_DATABASE_URL.",
        ) from error
    except psycopg.Error as error:
        if iam.broken:
            raise
        raise PlanError(
            f"The IAM cannot look it up: {describe(error).what}", subject=place,
            todo=f"Correct 'where' in the plan: {lookup.where}" if lookup.where else "Look at that table.",
        ) from error  # fmt: skip
    pairs = dict(rows)
    if len(rows) > MOST:
        raise PlanError(
            f"It has more than {MOST:,} rows: too many to look up.", subject=place,
            todo="Bring them by a table of the plan, or choose fewer with 'where'.",
        )  # fmt: skip
    if len(pairs) < len(rows):
        alike = next(word for (word, _), (other, _) in itertools.pairwise(rows) if word == other)
        raise PlanError(
            f"Two rows of the IAM say {alike!r} there: which is meant cannot be told.", subject=place,
            todo="Look up by a column that tells them apart, or choose one of them with 'where'.",
        )  # fmt: skip
    return pairs
