"""Whether the way back can be gone, and which columns legacy can compute there and back: only those can be kept and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Literal

from migration_portal.engine.errors import describe, fault_of
from migration_portal.engine.queries import queries
from migration_portal.plan import compile, directions
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Catalog, Column, Plan, Table
from migration_portal.plan.round_trip import RoundTrip, round_trips, trip_of
from migration_portal.refusal import Refusal

Uncertain = tuple[RoundTrip, list[Column]]
_WHERE = "where"


def computable(legacy: Connection[Any], trip: RoundTrip) -> list[Column]:
    """Of the columns that may come back as something else. What an expression looks up is the IAM's, whatever legacy calls so."""
    return [
        column
        for column in trip.uncertain()
        if "select" not in column.reading.lower()
        and fault_of(legacy, SQL("EXPLAIN {}").format(trip.count([column], SQL("true")))) is None
    ]


def uncertain(legacy: Connection[Any], plan: Plan, source: Catalog, target: Catalog) -> list[Uncertain]:
    """Each way back with the columns that may come back as something else and that the plan does not accept by name, if any."""
    found = [
        (trip, [each for each in computable(legacy, trip) if each.name not in trip.lossy])
        for trip in round_trips(plan, source, target)
    ]
    return [(trip, columns) for trip, columns in found if columns]


def keeping(legacy: Connection[Any], back: Plan, source: Catalog, target: Catalog) -> Plan:
    """The plan that leads back, with the columns of which legacy keeps its own where the IAM changed nothing."""

    def kept(table: Table) -> tuple[str, ...]:
        trip = trip_of(back, table, source, target)
        return tuple(each.name for each in computable(legacy, trip) if not trip.is_id(each)) if trip else ()

    return replace(back, tables=tuple(replace(table, kept=kept(table)) for table in back.tables))


def failing(
    iam: Connection[Any], back: Plan, legacy: Catalog, *, rows: int = 0
) -> dict[str, tuple[Column, psycopg.Error]]:
    """Reverse expressions that the IAM cannot compute ("table.column" → the column and why), tried on so many of its rows.

    Among them which of the IAM's rows a table has, as its column "where".
    """

    def error_of(table: Table, *columns: Column) -> psycopg.Error | None:
        kinds = {name: info.sent_as for name, info in legacy[table.target].columns.items()} | {_WHERE: "boolean"}
        names = SQL(", ").join(
            SQL("({})::{}").format(compile.raw(each.sql), compile.raw(kinds[each.name])) for each in columns
        )
        return fault_of(
            iam, SQL("SELECT {} FROM {} LIMIT {}").format(names, compile.source_table(back, table), Literal(rows))
        )

    tried = [
        (table, [*table.columns, *([Column(_WHERE, table.where)] if table.where else [])]) for table in back.tables
    ]
    return {
        f"{table.target}.{column.name}": (column, error)
        for table, columns in tried
        if error_of(table, *columns) is not None
        for column in columns
        if (error := error_of(table, column)) is not None
    }


def leaving(legacy: Connection[Any], plan: Plan, source: Catalog, target: Catalog) -> Iterator[Refusal]:
    """Tables that the way back would take rows out of, because their 'where' is not true of what legacy has there."""
    for trip in round_trips(plan, source, target):
        if (asked := trip.leaving()) is None:
            continue
        if error := fault_of(legacy, asked):
            yield PlanError(
                f"Which rows would come back into it cannot be computed in legacy ({describe(error).what}).",
                subject=trip.name, todo="Let its 'where' say that by columns of the IAM that the plan maps.",
            )  # fmt: skip
            continue
        with legacy.transaction():
            row = legacy.execute(asked).fetchone()
        if row and row[0]:
            yield PlanError(
                f"{row[0]:,} of its rows would not come back into it: its 'where' is not true of them in the IAM.",
                subject=trip.name, todo="Correct 'where', so that it is true of every row that the table has.",
            )  # fmt: skip


def unfollowed(plan: Plan, back: Plan, legacy: Catalog, iam: Catalog) -> Iterator[Refusal]:
    """Tables whose rows could not be followed on the way back: no part of legacy's key follows from the IAM's."""
    for table in back.tables:
        try:
            directions.owner(table, iam, directions.keyed(plan, legacy))
        except PlanError as error:
            yield PlanError(
                error.what, subject=table.target, todo="Let legacy's key follow from the IAM's in the reverse section."
            )


def hindered(legacy: Connection[Any], back: Plan) -> Iterator[Refusal]:
    """What of legacy's own would stop the way back, or change on it what nobody captures."""
    about = {"schema": back.target_schema, "tables": [table.target for table in back.tables]}
    for name, what in legacy.execute(queries("triggers")["always"], about).fetchall():
        yield PlanError(
            f"It has {what}; what is written there when tenants are reversed would set them off.", subject=name,
            todo="Drop them, or let a trigger that does not always fire do it (ALTER TABLE … ENABLE TRIGGER).",
        )  # fmt: skip
    for name, children in legacy.execute(queries("triggers")["unreadable"], about).fetchall():
        yield PlanError(
            f"{children} refers to it, and our role may not look whether a row does.", subject=name,
            todo=f"GRANT USAGE on the schema and SELECT on {children} to the role of LEGACY_DATABASE_URL.",
        )  # fmt: skip
    row = legacy.execute("SELECT has_database_privilege(current_database(), 'TEMP')").fetchone()
    if back.tables and not (row and row[0]):
        yield PlanError(
            "Our role may make no temporary tables there: nothing could be brought back.", subject="legacy database",
            todo="GRANT TEMPORARY ON DATABASE … to the role of LEGACY_DATABASE_URL.",
        )  # fmt: skip
