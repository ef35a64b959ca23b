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


def copy_chunks(sides: Sides, table: Table) -> list[NewChunk]:
    """Cut the source table into ranges of about `GRANULE_BYTES`; one open range when it is small or empty."""
    size = rows_per_chunk(sides, table)
    keys = SQL(", ").join(map(Identifier, table.key))
    statement = SQL(
        "SELECT {key} FROM (SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS n FROM {table}) AS numbered"
        " WHERE n % {size} = 1 ORDER BY n"
    ).format(
        key=compile.source_key(table), keys=keys, table=compile.source_table(sides.plan, table), size=Literal(size)
    )
    with sides.legacy.transaction():
        starts = [tuple(row[0]) for row in sides.legacy.execute(statement)]
    # The first range is open below and the last above: keys that appear later have a place, too.
    edges = [None, *starts[1:], None]
    return [
        NewChunk("copy", table.target, lower=lower, upper=upper, rows_planned=size) for lower, upper in pairwise(edges)
    ]


def rows_per_chunk(sides: Sides, table: Table) -> int:
    """How many rows of the source table make up `GRANULE_BYTES`, between 500 and 20,000."""
    statement = SQL(
        "SELECT pg_table_size(c.oid)::float8, greatest(c.reltuples, 0)::float8 FROM pg_class AS c WHERE c.oid = {}::regclass"
    ).format(Literal(compile.source_table(sides.plan, table).as_string(sides.legacy)))
    with sides.legacy.transaction():
        row = sides.legacy.execute(statement).fetchone()
    assert row is not None
    size, count = row
    width = size / count if count else 400.0
    return int(min(20_000, max(500, GRANULE_BYTES / max(width, 50))))


def block_pieces(kind: str, table: str, blocks: int, *, side: str, size: int, extra: dict[str, int]) -> list[NewChunk]:
    """Cut a table of `blocks` pages into pieces of `size`; the last one is open, for pages added since."""
    starts = list(range(0, max(blocks, 1), size))
    ends: list[int | None] = [*starts[1:], None]
    return [
        NewChunk(kind, table, spec={"side": side, "piece": n, "first": first, "end": end, **extra})
        for n, (first, end) in enumerate(zip(starts, ends, strict=True))
    ]
