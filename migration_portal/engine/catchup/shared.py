"""Rows of nobody (a role of all tenants, a permission) that the IAM alone has, given to legacy before a tenant moves.

They follow from legacy and never go back; but what comes back with a tenant may refer to them, and would be stuck.
"""

from __future__ import annotations

from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import capture_queue, numbers
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.catchup.work import listed, query
from migration_portal.engine.pipe import pipe
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging, compile
from migration_portal.plan.model import Table

_STAGE = Identifier("portal_shared")


def share(flow: Flow) -> int:
    """Add what legacy lacks, and change nothing that it has. The flow is the one that leads back. Returns how many rows."""
    transfer, added = flow.transfer, 0
    numbers.give(transfer, flow.ledger)
    for table in transfer.plan.tables:
        if _may_be_nobodys(transfer, table):
            with transfer.target.transaction():
                flow.still_ours()
                added += _add(transfer, table)
                numbers.note_written(transfer)
    if added:
        capture_queue.due_now(flow.queue)
    return added


def _may_be_nobodys(transfer: Transfer, table: Table) -> bool:
    """Where every row must have a tenant, or nothing refers to one, there is nothing to look for."""
    keys = (key for other in transfer.plan.tables for key in transfer.info(other).foreign_keys)
    if table.target not in {key.parent for key in keys}:
        return False
    whose = transfer.plan.table(table.through.parent) if table.through else table
    column = belonging.tenant_column(transfer.plan, whose.source, transfer.source_catalog)
    return column is None or not transfer.source_catalog[whose.source].columns[column].not_null


def _add(transfer: Transfer, table: Table) -> int:
    info, key = transfer.info(table), transfer.info(table).primary_key
    tenant = belonging.tenant_of_source_row(transfer.plan, table.source, transfer.source_catalog)
    select = compile.mapped(transfer.plan, table, info, where=SQL("{} IS NULL").format(tenant))
    target, names = transfer.target_table(table.target), listed(table.column_names)
    transfer.target.execute(query("stage", stage=_STAGE, target=target))
    with transfer.source.transaction():
        pipe(transfer.source, select, transfer.target, _STAGE, table.column_names)
    parts: dict[str, Any] = {
        "target": target, "stage": _STAGE, "names": names, "same": compile.same(key, key, "t", "s"),
        "orphaned": _orphaned(transfer, table), "keyed": compile.all_set(key, "s"),
    }  # fmt: skip
    added = transfer.target.execute(query("share", **parts)).rowcount
    transfer.target.execute(SQL("DROP TABLE {}").format(_STAGE))
    return added


def _orphaned(transfer: Transfer, table: Table) -> Composable:
    """True for rows that refer to what legacy does not have."""
    orphans = [
        compile.orphan(key.columns, transfer.target_table(key.parent), key.parent_columns)
        for key in transfer.info(table).foreign_keys
        if all(table.column(column) for column in key.columns)
    ]
    return SQL(" OR ").join(SQL("({})").format(each) for each in orphans) if orphans else SQL("false")
