"""Who refers to a target row."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.sql import SQL, Composable

from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table

Reference = tuple[str, tuple[str, ...], tuple[str, ...]]
"""The table that refers, its columns, and those that they refer to."""


def taking_nobody_along(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row `t` who would go with it."""
    arguments = {"table": transfer.quoted(transfer.schema, table.target)}
    found = rows(transfer.target, queries("catalog")["referring"], arguments)
    return _nobody((r["child"], tuple(r["columns"]), tuple(r["parent_columns"])) for r in found if r["cascades"])


def unreferenced(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row `t`: what still stands on it was edited or added since, and keeps it.

    The plan's own foreign keys are asked too: suspended ones are not in the catalog.
    """
    arguments = {"table": transfer.quoted(transfer.schema, table.target)}
    references = {
        (row["child"], tuple(row["columns"]), tuple(row["parent_columns"]))
        for row in rows(transfer.target, queries("catalog")["referring"], arguments)
    }
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
