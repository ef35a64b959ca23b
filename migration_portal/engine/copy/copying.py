"""Copying one chunk: its rows, its quarantined rows and its done-mark commit together, in the target.

An empty table is loaded by piping binary COPY from one server to the other, unparsed. When that
fails, or the table is in use, the rows are staged: see staging.py.
"""

from __future__ import annotations

from uuid import UUID

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import ledger
from migration_portal.engine.copy.reading import count, quarantine_rejected
from migration_portal.engine.copy.staging import copy_rows
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.pipe import pipe
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table
from migration_portal.refusal import Refusal

_dirty: set[tuple[UUID, str]] = set()
"""Runs and tables in which this worker has met a row that cannot be cast: it guards casts from then on."""


def copy_chunk(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Copy the chunk's key range and mark it done. Raises LeaseLost, or a Refusal that names what failed."""
    table = transfer.table(chunk.table_name)
    where = compile.key_range(table.key, chunk.lower, chunk.upper)
    if ledger.modes(transfer.target, transfer.run).get(table.target) == "load" and chunk.failures == 0:
        about = (transfer.run, table.target)
        for guarded in (True,) if about in _dirty else (False, True):
            try:
                return _load(transfer, table, chunk, where, guarded=guarded)
            except (psycopg.errors.IntegrityError, psycopg.errors.DataError, psycopg.errors.RaiseException):
                # A bad row somewhere in it: rolled back, now carefully. Where there is one, there are more.
                _dirty.add(about)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        outcome = copy_rows(transfer, table, where)
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def _load(transfer: Transfer, table: Table, chunk: Chunk, where: Composable, *, guarded: bool) -> Outcome:
    source, target = transfer.source, transfer.target
    # No savepoint in here: rows written inside one carry its transaction id, not the chunk's (see commits).
    with target.transaction(), source.transaction():
        ledger.fence(target, chunk)
        read = count(transfer, table, where)
        select = compile.mapped(transfer.plan, table, transfer.info(table), where=where, guarded=guarded)
        # In the order of the key, the primary key's index grows page by page: a third off the load.
        select += SQL(" ORDER BY {}").format(SQL(", ").join(map(Identifier, table.key)))
        written = pipe(source, select, target, transfer.target_table(table.target), table.column_names)
        quarantined = quarantine_rejected(transfer, table, where) if written < read else 0
        if written + quarantined != read:
            raise Refusal(
                f"Read {read} rows but wrote {written} and quarantined {quarantined}.",
                subject=table.target, todo="Report this: the chunk was rolled back and is tried again.",
            )  # fmt: skip
        ledger.record_commit(target, transfer.run, table.target)
        outcome = Outcome(read, written, quarantined)
        ledger.done(target, chunk, outcome)
    return outcome
