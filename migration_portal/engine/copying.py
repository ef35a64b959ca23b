"""Copying one chunk: its rows, its quarantined rows and its done-mark commit together, in the target.

An empty table is loaded by piping binary COPY from one server to the other, unparsed. When that
fails, or the table is in use, the rows are staged: see staging.py.
"""

from __future__ import annotations

from uuid import UUID

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import ledger
from migration_portal.engine.ledger import Chunk, Outcome
from migration_portal.engine.reading import count, pipe, set_rejected_aside
from migration_portal.engine.sides import Sides
from migration_portal.engine.staging import copy_rows
from migration_portal.plan import compile
from migration_portal.plan.errors import Refusal
from migration_portal.plan.model import Table

_dirty: set[tuple[UUID, str]] = set()
"""Runs and tables in which this worker has met a row that cannot be cast: it guards casts from then on."""


def copy_chunk(sides: Sides, chunk: Chunk) -> Outcome:
    """Copy the chunk's key range and mark it done. Raises LeaseLost, or a Refusal that names what failed."""
    table = sides.table(chunk.table_name)
    where = compile.key_range(table.key, chunk.lower, chunk.upper)
    if ledger.modes(sides.iam, sides.run).get(table.target) == "load" and chunk.failures == 0:
        about = (sides.run, table.target)
        for guarded in (True,) if about in _dirty else (False, True):
            try:
                return _load(sides, table, chunk, where, guarded=guarded)
            except (psycopg.errors.IntegrityError, psycopg.errors.DataError, psycopg.errors.RaiseException):
                # A bad row somewhere in it: rolled back, now carefully. Where there is one, there are more.
                _dirty.add(about)
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        outcome = copy_rows(sides, table, where)
        ledger.done(sides.iam, chunk, outcome)
    return outcome


def _load(sides: Sides, table: Table, chunk: Chunk, where: Composable, *, guarded: bool) -> Outcome:
    # No savepoint in here: rows written inside one carry its transaction id, not the chunk's (see commits).
    with sides.iam.transaction(), sides.legacy.transaction():
        ledger.fence(sides.iam, chunk)
        read = count(sides, table, where)
        select = compile.mapped(sides.plan, table, sides.info(table), where=where, guarded=guarded)
        # In the order of the key, the primary key's index grows page by page: a third off the load.
        select += SQL(" ORDER BY {}").format(SQL(", ").join(map(Identifier, table.key)))
        written = pipe(sides.legacy, select, sides.iam, sides.target_table(table.target), table.column_names)
        refused = set_rejected_aside(sides, table, where) if written < read else 0
        if written + refused != read:
            raise Refusal(
                f"Read {read} rows but wrote {written} and set {refused} aside.",
                subject=table.target, todo="Report this: the chunk was rolled back and is tried again.",
            )  # fmt: skip
        ledger.record_commit(sides.iam, sides.run, table.target)
        outcome = Outcome(read, written, refused)
        ledger.done(sides.iam, chunk, outcome)
    return outcome
