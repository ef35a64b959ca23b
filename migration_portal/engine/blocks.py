"""A table as pieces of its pages: read in any order, by any worker, whatever the key is."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine.ledger import Chunk, NewChunk


def count(connection: Connection[Any], table: str) -> int:
    """How many pages the table has; `table` is a quoted name."""
    statement = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"
    with connection.transaction():
        row = connection.execute(statement, [table]).fetchone()
    assert row is not None
    return int(row[0])


def pieces(kind: str, table: str, blocks: int, *, side: str, size: int, extra: dict[str, int]) -> list[NewChunk]:
    """Cut a table of `blocks` pages into pieces of `size`; the last one is open, for pages added since."""
    starts = list(range(0, max(blocks, 1), size))
    ends: list[int | None] = [*starts[1:], None]
    return [
        NewChunk(kind, table, spec={"side": side, "piece": n, "first": first, "end": end, **extra})
        for n, (first, end) in enumerate(zip(starts, ends, strict=True))
    ]


def condition(chunk: Chunk, alias: str | None = None) -> Composable:
    """True for the rows in the chunk's piece of the table."""
    place = Identifier(alias, "ctid") if alias else Identifier("ctid")
    first, end = chunk.spec["first"], chunk.spec["end"]
    if first == 0 and end is None:
        return SQL("true")  # a view has no pages
    since = SQL("{} >= {}::tid").format(place, Literal(f"({first},0)"))
    return since if end is None else SQL("{} AND {} < {}::tid").format(since, place, Literal(f"({end},0)"))
