"""Reading a range of the source: counting it, and quarantining the rows that the plan's rules name."""

from __future__ import annotations

from psycopg.sql import SQL, Composable

from migration_portal.engine import quarantine
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table


def count(transfer: Transfer, table: Table, where: Composable) -> int:
    statement = SQL("SELECT count(*) FROM {} WHERE {}").format(compile.source_table(transfer.plan, table), where)
    row = transfer.source.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def quarantine_rejected(transfer: Transfer, table: Table, where: Composable) -> int:
    """Quarantine the rows of the range that the plan's reject rules name, as the source's snapshot shows them."""
    if not table.reject:
        return 0
    rows = transfer.source.execute(compile.rejections(transfer.plan, table, where)).fetchall()
    return quarantine.add(transfer, table, [Rejected(key, reason, row) for key, reason, row in rows])
