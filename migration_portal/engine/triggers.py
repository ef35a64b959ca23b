"""Triggers of the application's on tables that we write to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from migration_portal.engine.queries import queries
from migration_portal.plan.model import Plan


def with_triggers(
    connection: Connection[Any], plan: Plan, *, but: Sequence[str] = (), deleting: bool = False
) -> dict[str, str]:
    """The plan's target tables that have some which fire for us, with their names; not those called as in `but`.

    `deleting`: those alone that fire when rows are deleted.
    """
    tables = [table.target for table in plan.tables]
    about = {"schema": plan.target_schema, "tables": tables, "but": list(but), "deleting": deleting}
    return dict(connection.execute(queries("triggers")["triggers"], about).fetchall())


@contextmanager
def silent(connection: Connection[Any], wanted: bool) -> Iterator[None]:
    """Within it, and a transaction, none but those that always fire do, if wanted: foreign keys' own are silent, too."""
    if wanted:
        connection.execute("SET LOCAL session_replication_role = replica")
    yield
    if wanted:
        connection.execute("SET LOCAL session_replication_role = origin")


def may_silence(connection: Connection[Any]) -> bool:
    """Whether our role may set session_replication_role: a superuser, or by GRANT SET ON PARAMETER."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL session_replication_role = replica")
        return True
    except psycopg.errors.InsufficientPrivilege:
        return False
