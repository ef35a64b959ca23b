"""Pieces of a table's pages."""

from __future__ import annotations

from psycopg.sql import SQL

from migration_portal.engine import blocks
from migration_portal.engine.ledger import Chunk
from tests.world import World


def test_pieces_hold_every_row_once(world: World) -> None:
    with world.iam() as iam:
        iam.execute("CREATE TABLE t AS SELECT n, repeat('x', 700) AS x FROM generate_series(1, 100) AS n")
        pages = blocks.count(iam, "t")
        assert pages > 5
        for size in (1, 2, pages, pages + 1):
            rows: list[int] = []
            for n, piece in enumerate(blocks.pieces("undo", "t", pages, side="iam", size=size, extra={})):
                chunk = Chunk(n, "", 0, n, piece.kind, "t", None, None, piece.spec, 0, 1, 0)
                rows += [row[0] for row in iam.execute(SQL("SELECT n FROM t WHERE {}").format(blocks.condition(chunk)))]
            assert sorted(rows) == list(range(1, 101)), size
