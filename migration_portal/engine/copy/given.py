"""Rows that the IAM needs and legacy does not have: the plan gives them, and a run adds those that are missing."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from migration_portal.engine import ledger
from migration_portal.engine.errors import describe
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Given, TableInfo
from migration_portal.refusal import Refusal


def add(transfer: Transfer) -> None:
    """Add the plan's rows whose key the IAM does not have, in the caller's transaction; an undo takes back what was added.

    Raises Refusal when the server does not take one.
    """
    for row in transfer.plan.rows:
        info = transfer.target_catalog[row.target]
        statement = SQL("INSERT INTO {} ({}) {} ON CONFLICT ({}) DO NOTHING RETURNING {}").format(
            transfer.target_table(row.target), SQL(", ").join(Identifier(each.name) for each in row.columns),
            values(row, info), SQL(", ").join(map(Identifier, info.primary_key)), compile.target_key(info.primary_key),
        )  # fmt: skip
        try:
            # In no savepoint: a row written inside one carries its transaction id, not the chunk's (see commits).
            added = transfer.target.execute(statement).fetchone()
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
            raise Refusal(
                f"A row that the plan gives cannot be added: {describe(error).what}", subject=row.target,
                todo=f"Correct {_lines(row)} of the plan, or change the row that is in its way.",
            ) from error  # fmt: skip
        if added:
            about = {"run": transfer.run, "table": row.target, "key": added[0]}
            transfer.target.execute(queries("undo")["remember_added"], about)
            ledger.record_commit(transfer.target, transfer.run, row.target)


def values(row: Given, info: TableInfo) -> Composed:
    """The row as a SELECT that the IAM's server can run."""
    parts = (
        SQL("({})::{}").format(compile.raw(each.sql), compile.raw(info.columns[each.name].type)) for each in row.columns
    )
    return SQL("SELECT {}").format(SQL(", ").join(parts))


def _lines(row: Given) -> str:
    numbers = [each.line for each in row.columns if each.line]
    return f"lines {min(numbers)} to {max(numbers)}" if numbers else "the row"
