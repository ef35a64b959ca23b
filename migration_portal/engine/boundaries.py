"""Half-open key ranges with open ends, found once."""

from __future__ import annotations

from itertools import pairwise

from psycopg.sql import SQL, Identifier, Literal

from migration_portal.engine.ledger import NewChunk
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.model import Table

GRANULE_BYTES = 4 * 1024 * 1024
"""About what a chunk holds before workers merge neighbours to fill their target time."""
_SAMPLE_FROM = 20
"""Chunks a table must have to be cut by sample."""
_SAMPLED = 100
"""Rows of the sample for each chunk."""


def copy_chunks(sides: Sides, table: Table) -> list[NewChunk]:
    """Cut the source table into ranges of about `GRANULE_BYTES`; one open range when it is small or empty.

    A table of many ranges is cut where a sample of its pages says: sorting every key would keep
    the workers waiting, and ranges need not be equal.
    """
    size, count = _chunk_and_table_rows(sides, table)
    share = min(1.0, _SAMPLED / size) if count > _SAMPLE_FROM * size else 1.0
    keys = SQL(", ").join(map(Identifier, table.key))
    statement = SQL(
        "SELECT {key} FROM (SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS n FROM {table}{sample}) AS numbered"
        " WHERE n % {size} = 1 ORDER BY n"
    ).format(
        key=compile.source_key(table),
        keys=keys,
        table=compile.source_table(sides.plan, table),
        sample=SQL(" TABLESAMPLE SYSTEM ({})").format(Literal(100 * share)) if share < 1 else SQL(""),
        size=Literal(max(2, round(size * share))),
    )
    with sides.legacy.transaction():
        starts = [tuple(row[0]) for row in sides.legacy.execute(statement)]
    # The first range is open below and the last above: keys that appear later have a place, too.
    edges = [None, *starts[1:], None]
    planned = count // (len(edges) - 1) if share < 1 else size
    return [
        NewChunk("copy", table.target, lower=lower, upper=upper, rows_planned=planned)
        for lower, upper in pairwise(edges)
    ]


def _chunk_and_table_rows(sides: Sides, table: Table) -> tuple[int, int]:
    """How many rows of the source table make up `GRANULE_BYTES`, between 500 and 20,000; and how many it has, about."""
    statement = SQL(
        "SELECT pg_table_size(c.oid)::float8, greatest(c.reltuples, 0)::float8 FROM pg_class AS c WHERE c.oid = {}::regclass"
    ).format(Literal(compile.source_table(sides.plan, table).as_string(sides.legacy)))
    with sides.legacy.transaction():
        row = sides.legacy.execute(statement).fetchone()
    assert row is not None
    size, count = row
    width = size / count if count else 400.0
    return int(min(20_000, max(500, GRANULE_BYTES / max(width, 50)))), int(count)


def block_pieces(kind: str, table: str, blocks: int, *, side: str, size: int, extra: dict[str, int]) -> list[NewChunk]:
    """Cut a table of `blocks` pages into pieces of `size`; the last one is open, for pages added since."""
    starts = list(range(0, max(blocks, 1), size))
    ends: list[int | None] = [*starts[1:], None]
    return [
        NewChunk(kind, table, spec={"side": side, "piece": n, "first": first, "end": end, **extra})
        for n, (first, end) in enumerate(zip(starts, ends, strict=True))
    ]
