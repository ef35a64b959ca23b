"""Telling a server that restarted, or one that took over for another, from the one we knew."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from migration_portal.engine.queries import queries


def incarnation(connection: Connection[Any]) -> str:
    """System identifier, timeline and start of the server, as one text: another one after every restart or fail-over."""
    may = connection.execute("SELECT has_function_privilege('pg_control_checkpoint()', 'EXECUTE')").fetchone()
    with connection.transaction():
        row = connection.execute(queries("recovery")["incarnation" if may and may[0] else "started"]).fetchone()
    assert row is not None
    return str(row[0])
