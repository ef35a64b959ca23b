"""Removing exactly what a run wrote, and restoring what it overwrote.

A row is the run's, and was not edited since, when its xmin is among the run's commits. Rows
edited since, and rows that others refer to by now, stay where they are and are reported.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger
from migration_portal.engine.boundaries import block_pieces
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome, rows
from migration_portal.engine.queries import queries
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.model import Table

PIECE_BLOCKS = 2048


def pieces(sides: Sides, table: Table) -> list[NewChunk]:
    """Chunks that together undo the run's work on a table; overwritten rows are restored by the first."""
    name = sides.iam_name(sides.schema, table.target)
    row = sides.iam.execute(
        "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int", [name]
    ).fetchone()
    assert row is not None
    return block_pieces("undo", table.target, int(row[0]), side="iam", size=PIECE_BLOCKS, extra={})


def undo_piece(sides: Sides, chunk: Chunk) -> Outcome:
    """Undo the run's rows in one piece of the table and mark the chunk done. `written` is negative: rows removed."""
    table = sides.table(chunk.table_name)
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        ours = Literal(list(ledger.xids(sides.iam, sides.run, table.target)))
        if chunk.spec["piece"] == 0:
            _restore(sides, table, ours)
        removed = _remove(sides, table, ours, _blocks(chunk))
        outcome = Outcome(written=-removed)
        ledger.done(sides.iam, chunk, outcome)
    return outcome


def conclude(sides: Sides, chunk: Chunk) -> Outcome:
    """After a table's pieces: report what stayed, and mark the chunk done."""
    table = sides.table(chunk.table_name)
    with sides.iam.transaction():
        ledger.fence(sides.iam, chunk)
        left = _report_left(sides, table)
        sides.iam.execute(
            "UPDATE portal_ledger.quarantine SET state = 'discarded', decided_at = now(), decided_by = 'undo'"
            " WHERE run = %s AND table_name = %s AND state = 'open'",
            [sides.run, table.target],
        )
        outcome = Outcome(read=left)
        ledger.done(sides.iam, chunk, outcome)
    return outcome


def _blocks(chunk: Chunk) -> Composable:
    end = chunk.spec["end"]
    below = SQL(" AND t.ctid < {}::tid").format(Literal(f"({end},0)")) if end is not None else SQL("")
    return SQL("t.ctid >= {}::tid{}").format(Literal(f"({chunk.spec['first']},0)"), below)


def _was_there(sides: Sides, table: Table) -> Composable:
    return SQL(
        "EXISTS (SELECT FROM portal_ledger.overwritten AS o"
        " WHERE o.run = {} AND o.table_name = {} AND o.key = {} AND o.before IS NOT NULL)"
    ).format(Literal(sides.run), Literal(table.target), _key(sides, table))


def _key(sides: Sides, table: Table) -> Composable:
    return compile.target_key(sides.info(table).primary_key, "t")


def _restore(sides: Sides, table: Table, ours: Composable) -> None:
    """Put before-images back where nobody has edited the row since, and forget those images."""
    columns = [name for name in table.column_names if name not in sides.info(table).primary_key]
    if not columns:
        return
    statement = SQL(
        "WITH restored AS ("
        " UPDATE {target} AS t SET {assignments} FROM portal_ledger.overwritten AS o,"
        " json_populate_record(NULL::{target}, o.before) AS b"
        " WHERE o.run = {run} AND o.table_name = {name} AND o.before IS NOT NULL AND o.key = {key}"
        " AND t.xmin::text = ANY({ours}) RETURNING o.key)"
        " DELETE FROM portal_ledger.overwritten WHERE run = {run} AND table_name = {name}"
        " AND key IN (SELECT key FROM restored)"
    ).format(
        target=sides.target_table(table.target),
        assignments=SQL(", ").join(SQL("{0} = b.{0}").format(Identifier(c)) for c in columns),
        run=Literal(sides.run),
        name=Literal(table.target),
        key=_key(sides, table),
        ours=ours,
    )
    sides.iam.execute(statement)


def _remove(sides: Sides, table: Table, ours: Composable, blocks: Composable) -> int:
    statement = SQL(
        "DELETE FROM {target} AS t WHERE {blocks} AND t.xmin::text = ANY({ours}) AND NOT {was_there}{free}"
    ).format(
        target=sides.target_table(table.target),
        blocks=blocks,
        ours=ours,
        was_there=_was_there(sides, table),
        free=_unreferenced(sides, table),
    )
    return sides.iam.execute(statement).rowcount


def _unreferenced(sides: Sides, table: Table) -> Composable:
    """Nobody refers to the row: what still stands on it was edited or added since, and keeps it.

    The plan's own foreign keys are asked too: those set aside are not in the catalog just now.
    """
    arguments = {"table": sides.iam_name(sides.schema, table.target)}
    found = {
        (row["child"], tuple(row["columns"]), tuple(row["parent_columns"]))
        for row in rows(sides.iam, queries("catalog")["referring"], arguments)
    }
    for other in sides.plan.tables:
        for key in sides.info(other).foreign_keys:
            if key.parent == table.target:
                found.add((sides.target_table(other.target).as_string(sides.iam), key.columns, key.parent_columns))
    conditions = [
        SQL(" AND NOT EXISTS (SELECT FROM {child} AS c WHERE {joined})").format(
            child=compile.raw(child),
            joined=compile.same(columns, parent_columns, "c", "t"),
        )
        for child, columns, parent_columns in sorted(found)
    ]
    return SQL("").join(conditions)


def _report_left(sides: Sides, table: Table) -> int:
    """Record rows that the run brought or changed and that are still so, with why. Returns how many.

    In a table that was empty at the run's start every row came with it or after it; in one that
    was in use, the ledger names the rows.
    """
    if ledger.modes(sides.iam, sides.run).get(table.target) == "load":
        touched: Composable = SQL("true")
    else:
        touched = SQL(
            "EXISTS (SELECT FROM portal_ledger.overwritten AS o WHERE o.run = {} AND o.table_name = {} AND o.key = {})"
        ).format(Literal(sides.run), Literal(table.target), _key(sides, table))
    statement = SQL(
        "INSERT INTO portal_ledger.left_in_place (run, table_name, key, reason)"
        " SELECT {run}, {name}, {key}, CASE WHEN t.xmin::text = ANY({ours}) THEN 'still referred to'"
        " ELSE 'edited since' END FROM {target} AS t WHERE {touched} ON CONFLICT DO NOTHING"
    ).format(
        run=Literal(sides.run),
        name=Literal(table.target),
        key=_key(sides, table),
        ours=Literal(list(ledger.xids(sides.iam, sides.run, table.target))),
        target=sides.target_table(table.target),
        touched=touched,
    )
    return sides.iam.execute(statement).rowcount
