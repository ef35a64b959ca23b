"""Who refers to a target row."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from psycopg.sql import SQL, Composable

from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table

Reference = tuple[str, tuple[str, ...], tuple[str, ...]]
"""The table that refers, its columns, and those that they refer to."""


def referring(transfer: Transfer, table: Table) -> list[Reference]:
    """Who refers to the table's rows, by the target's own foreign keys."""
    found = rows(
        transfer.target, queries("catalog")["referring"], {"table": transfer.quoted(transfer.schema, table.target)}
    )
    return [(row["child"], tuple(row["columns"]), tuple(row["parent_columns"])) for row in found]


def taking_nobody_along(transfer: Transfer, table: Table, *, among: Collection[str] = ()) -> Composable:
    """Nobody refers to the row `t` who would go with it; of these tables, if any are named."""
    arguments = {"table": transfer.quoted(transfer.schema, table.target)}
    found = rows(transfer.target, queries("catalog")["referring"], arguments)
    cascades = (row for row in found if row["cascades"] and (not among or row["name"] in among))
    return _nobody((r["child"], tuple(r["columns"]), tuple(r["parent_columns"])) for r in cascades)


def unreferenced(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row `t`: what still stands on it was edited or added since, and keeps it.

    The plan's own foreign keys are asked too: suspended ones are not in the catalog.
    """
    references = set(referring(transfer, table))
    for other in transfer.plan.tables:
        for key in transfer.info(other).foreign_keys:
            if key.parent == table.target:
                child = transfer.target_table(other.target).as_string(transfer.target)
                references.add((child, key.columns, key.parent_columns))
    return _nobody(references)


def _nobody(references: Iterable[Reference]) -> Composable:
    conditions = [
        SQL(" AND NOT EXISTS (SELECT FROM {child} AS c WHERE {joined})").format(
            child=compile.raw(child),
            joined=compile.same(columns, parent_columns, "c", "t"),
        )
        for child, columns, parent_columns in sorted(references)
    ]
    return SQL("").join(conditions)
