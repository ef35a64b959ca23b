"""Half-open key ranges with open ends, found once."""

from __future__ import annotations

from itertools import pairwise

from psycopg.sql import SQL, Identifier, Literal

from migration_portal.engine.ledger import NewChunk
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table

GRANULE_BYTES = 4 * 1024 * 1024
"""About what a chunk holds before workers merge neighbours to fill their target time."""
_SAMPLE_FROM = 20
"""Chunks a table must have to be cut by sample."""
_SAMPLED = 100
"""Rows of the sample for each chunk."""


def copy_chunks(transfer: Transfer, table: Table) -> list[NewChunk]:
    """Cut the source table into ranges of about `GRANULE_BYTES`; one open range when it is small or empty.

    A table of many ranges is cut where a sample of its pages says: sorting every key would keep
    the workers waiting, and ranges need not be equal.
    """
    size, count = _chunk_and_table_rows(transfer, table)
    share = min(1.0, _SAMPLED / size) if count > _SAMPLE_FROM * size else 1.0
    keys = SQL(", ").join(map(Identifier, table.key))
    statement = queries("boundaries")["starts"].format(
        key=compile.source_key(table),
        keys=keys,
        table=compile.source_table(transfer.plan, table),
        sample=SQL(" TABLESAMPLE SYSTEM ({})").format(Literal(100 * share)) if share < 1 else SQL(""),
        size=Literal(max(2, round(size * share))),
    )
    with transfer.source.transaction():
        starts = [tuple(row[0]) for row in transfer.source.execute(statement)]
    # The first range is open below and the last above: keys that appear later have a place, too.
    edges = [None, *starts[1:], None]
    planned = count // (len(edges) - 1) if share < 1 else size
    return [
        NewChunk("copy", table.target, lower=lower, upper=upper, rows_planned=planned)
        for lower, upper in pairwise(edges)
    ]


def _chunk_and_table_rows(transfer: Transfer, table: Table) -> tuple[int, int]:
    """How many rows of the source table make up `GRANULE_BYTES`, between 500 and 20,000; and how many it has, about."""
    name = compile.source_table(transfer.plan, table).as_string(transfer.source)
    with transfer.source.transaction():
        row = transfer.source.execute(queries("boundaries")["size"], {"table": name}).fetchone()
    assert row is not None
    size, count = row
    width = size / count if count else 400.0
    return int(min(20_000, max(500, GRANULE_BYTES / max(width, 50)))), int(count)
