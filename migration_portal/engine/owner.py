"""Which portal works on a database, and how often it has moved a tenant: kept beside what it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

Schema = Literal["portal_ledger", "portal_capture"]


@dataclass(frozen=True)
class Owner:
    """A portal's identity, and its epoch: one more with every flip."""

    portal: UUID
    epoch: int


def read(connection: Connection[Any], schema: Schema) -> Owner | None:
    """None where there is nothing of a portal yet."""
    if not _kept(connection, schema):
        return None
    statement = SQL("SELECT portal, epoch FROM {}").format(Identifier(schema, "portal"))
    with connection.cursor(row_factory=class_row(Owner)) as cursor:
        return cursor.execute(statement).fetchone()


def keep(connection: Connection[Any], schema: Schema) -> None:
    """Let nobody else sign it until the end of the transaction."""
    if _kept(connection, schema):
        connection.execute(SQL("SELECT FROM {} FOR UPDATE").format(Identifier(schema, "portal")))


def write(connection: Connection[Any], schema: Schema, owner: Owner) -> None:
    """Sign what is there; nothing where there is no such schema."""
    if not _kept(connection, schema):
        return
    statement = SQL(
        "INSERT INTO {} (portal, epoch) VALUES (%s, %s)"
        " ON CONFLICT (one) DO UPDATE SET portal = excluded.portal, epoch = excluded.epoch"
        " WHERE (portal.portal, portal.epoch) <> (excluded.portal, excluded.epoch)"
    ).format(Identifier(schema, "portal"))
    connection.execute(statement, [owner.portal, owner.epoch])


def _kept(connection: Connection[Any], schema: Schema) -> bool:
    """Whether there is a place to sign; an earlier version had none."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{schema}.portal"]).fetchone()
    return bool(row and row[0])
