"""Sequences behind the keys of target tables: copied rows bring their numbers, and the sequence does not know."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.plan.model import Plan


def advance(connection: Connection[Any], plan: Plan) -> int:
    """Let the plan's target tables give out numbers beyond those they hold. Returns how many sequences were behind."""
    moved = 0
    about = {"schema": plan.target_schema, "tables": [table.target for table in plan.tables]}
    for row in rows(connection, queries("sequences")["behind_columns"], about):
        statement = queries("sequences")["advance"].format(
            sequence=Literal(row["sequence"]), name=SQL(row["sequence"]), column=Identifier(row["column_name"]),
            table=Identifier(plan.target_schema, row["table_name"]),
        )  # fmt: skip
        moved += connection.execute(statement).rowcount
    return moved
