"""The scratch schema of a dry run: copies of the target tables, dropped at the end."""

from __future__ import annotations

from psycopg.sql import SQL, Identifier

from migration_portal.engine import ledger
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer


def create(transfer: Transfer) -> None:
    """Make a copy of each target table, with what the real table holds now."""
    target = transfer.target
    with target.transaction():
        target.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(transfer.schema)))
        for table in (*transfer.plan.given, *transfer.plan.tables):
            real = SQL("{}.{}").format(Identifier(transfer.plan.target_schema), Identifier(table.target))
            copy = transfer.target_table(table.target)
            exists = target.execute(
                "SELECT to_regclass(%s)", [transfer.quoted(transfer.schema, table.target)]
            ).fetchone()
            if exists and exists[0]:
                continue
            target.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(copy, real))
            key = SQL(", ").join(map(Identifier, transfer.info(table).primary_key))
            target.execute(SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(copy, key))
            about = {"table": transfer.quoted(transfer.plan.target_schema, table.target)}
            names = SQL(", ").join(Identifier(row[0]) for row in target.execute(queries("undo")["columns"], about))
            target.execute(
                SQL("INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {}").format(
                    copy, real, names=names
                )
            )


def sweep(transfer: Transfer, chunk: Chunk) -> Outcome:
    """The last chunk of a dry run: drop its scratch tables."""
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        if transfer.schema != transfer.plan.target_schema:
            transfer.target.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(transfer.schema)))
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()
