"""How much room the stage takes, in bytes."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from migration_portal import databases


def sizes() -> dict[str, int]:
    """Of each side's database, and `wal`: what its server has written ahead since it was made, for all its databases."""
    found = {}
    for side in ("legacy", "iam"):
        with databases.of_side(side, "rehearsal") as connection:
            found[side] = _one(connection, "SELECT pg_database_size(current_database())")
    with databases.of_side("iam", "rehearsal") as connection:
        found["wal"] = _one(connection, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
    return found


def _one(connection: Connection[Any], statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])
