"""What the IAM has of its own, brought onto the stage: a role that somebody added, the row of a tenant that legacy never had."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from migration_portal import databases
from migration_portal.backups.models import Side
from migration_portal.engine import catalog
from migration_portal.engine.pipe import pipe
from migration_portal.plan import compile, lookups
from migration_portal.plan.loader import load
from migration_portal.plan.model import Catalog, Plan, TableInfo
from migration_portal.rehearsal import stage
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.runs.models import Run


def bring(rehearsal: Rehearsal) -> None:
    """Copy the IAM's rows that the plan's rows need onto the stage, whose schema must be there. Raises Refusal, psycopg.Error.

    Those are the rows of the tables that the plan fills, unless a run has filled them, that it looks up, and that any of these
    refer to. A row that is on the stage already, by its key or by a unique index, stays as it is; one whose parent is
    not brought is left out.
    """
    plan = load(settings.MIGRATION_PLAN)
    filled = {each.target for each in plan.tables} if Run.objects.in_force() else set()
    with (
        databases.iam_source("rehearsal") as iam,
        databases.of_url(stage.url(rehearsal, Side.IAM), "rehearsal") as there,
    ):
        target = catalog.read(there, plan.target_schema)
        names = sorted((_needed(plan, target) - filled) & catalog.read(iam, plan.target_schema).keys())
        with there.transaction():
            for name in names:
                _fetch(iam, there, plan, target[name])
            # A parent may come after its child, by name or because tables refer to each other.
            while sum([_add(there, plan, target[name]) for name in names]):
                pass


def _needed(plan: Plan, target: Catalog) -> set[str]:
    needed: set[str] = set()
    waiting = [each.target for each in (*plan.given, *plan.tables)]
    waiting += [lookup.of for lookup in lookups.of_plan(plan).values()]
    while waiting:
        name = waiting.pop()
        if name in target and name not in needed:
            needed.add(name)
            waiting += [key.parent for key in target[name].foreign_keys]
    return needed


def _fetch(
    iam: Connection[tuple[object, ...]], there: Connection[tuple[object, ...]], plan: Plan, table: TableInfo
) -> None:
    real, brought = Identifier(plan.target_schema, table.name), Identifier("pg_temp", table.name)
    there.execute(SQL("CREATE TEMP TABLE {} (LIKE {}) ON COMMIT DROP").format(Identifier(table.name), real))
    names = list(_written(table))
    pipe(iam, SQL("SELECT {} FROM {}").format(_listed(names), real), there, brought, names)


def _add(there: Connection[tuple[object, ...]], plan: Plan, table: TableInfo) -> int:
    """Add what is not there and whose parents are. Returns the rows."""
    alone = [
        SQL(" AND NOT ({})").format(
            compile.orphan(key.columns, Identifier(plan.target_schema, key.parent), key.parent_columns)
        )
        for key in table.foreign_keys
    ]
    statement = SQL(
        "INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {} AS s WHERE true{} ON CONFLICT DO NOTHING"
    ).format(
        Identifier(plan.target_schema, table.name), Identifier("pg_temp", table.name), SQL("").join(alone),
        names=_listed(list(_written(table))),
    )  # fmt: skip
    return there.execute(statement).rowcount


def _written(table: TableInfo) -> Iterator[str]:
    return (name for name, column in table.columns.items() if not column.computed)


def _listed(names: list[str]) -> Composed:
    return SQL(", ").join(map(Identifier, names))
