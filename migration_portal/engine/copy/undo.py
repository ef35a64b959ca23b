"""Removing exactly what a run wrote, and restoring what it overwrote.

A row is the run's, and was not edited since, when its xmin is among the run's commits. Rows
edited since, and rows that others refer to by now, stay where they are and are reported.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import blocks, ledger
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome, rows
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table

PIECE_BLOCKS = 2048


def pieces(transfer: Transfer, table: Table) -> list[NewChunk]:
    """Chunks that together undo the run's work on a table; overwritten rows are restored by the first."""
    count = blocks.count(transfer.target, transfer.quoted(transfer.schema, table.target))
    return blocks.pieces("undo", table.target, count, side="iam", size=PIECE_BLOCKS, extra={})


def undo_piece(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Undo the run's rows in one piece of the table and mark the chunk done. `written` is negative: rows removed."""
    table = transfer.table(chunk.table_name)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        ours = Literal(list(ledger.xids(transfer.target, transfer.run, table.target)))
        if chunk.spec["piece"] == 0:
            _restore(transfer, table, ours)
        removed = _remove(transfer, table, ours, blocks.condition(chunk, "t"))
        outcome = Outcome(written=-removed)
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def conclude(transfer: Transfer, chunk: Chunk) -> Outcome:
    """After a table's pieces: report what stayed, and mark the chunk done."""
    table = transfer.table(chunk.table_name)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        left = _report_left(transfer, table)
        about = {"run": transfer.run, "table": table.target}
        transfer.target.execute(queries("undo")["discard_quarantine"], about)
        outcome = Outcome(read=left)
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def _image(name: str, transfer: Transfer, table: Table) -> Composable:
    """A condition that the ledger holds an image of the row `t`: `was_there` or `touched`."""
    return queries("undo")[name].format(
        run=Literal(transfer.run), name=Literal(table.target), key=_key(transfer, table)
    )


def _key(transfer: Transfer, table: Table) -> Composable:
    return compile.target_key(transfer.info(table).primary_key, "t")


def _restore(transfer: Transfer, table: Table, ours: Composable) -> None:
    """Put before-images back where nobody has edited the row since, and forget those images."""
    columns = [name for name in table.column_names if name not in transfer.info(table).primary_key]
    if not columns:
        return
    statement = queries("undo")["restore"].format(
        target=transfer.target_table(table.target),
        assignments=SQL(", ").join(SQL("{0} = b.{0}").format(Identifier(c)) for c in columns),
        run=Literal(transfer.run),
        name=Literal(table.target),
        key=_key(transfer, table),
        ours=ours,
    )
    transfer.target.execute(statement)


def _remove(transfer: Transfer, table: Table, ours: Composable, piece: Composable) -> int:
    statement = queries("undo")["remove"].format(
        target=transfer.target_table(table.target),
        blocks=piece,
        ours=ours,
        was_there=_image("was_there", transfer, table),
        unreferenced=_unreferenced(transfer, table),
    )
    return transfer.target.execute(statement).rowcount


def _unreferenced(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row: what still stands on it was edited or added since, and keeps it.

    The plan's own foreign keys are asked too: suspended ones are not in the catalog.
    """
    arguments = {"table": transfer.quoted(transfer.schema, table.target)}
    references = {
        (row["child"], tuple(row["columns"]), tuple(row["parent_columns"]))
        for row in rows(transfer.target, queries("catalog")["referring"], arguments)
    }
    for other in transfer.plan.tables:
        for key in transfer.info(other).foreign_keys:
            if key.parent == table.target:
                child = transfer.target_table(other.target).as_string(transfer.target)
                references.add((child, key.columns, key.parent_columns))
    conditions = [
        SQL(" AND NOT EXISTS (SELECT FROM {child} AS c WHERE {joined})").format(
            child=compile.raw(child),
            joined=compile.same(columns, parent_columns, "c", "t"),
        )
        for child, columns, parent_columns in sorted(references)
    ]
    return SQL("").join(conditions)


def _report_left(transfer: Transfer, table: Table) -> int:
    """Record rows that the run brought or changed and that are still so, with why. Returns how many.

    In a table that was empty at the run's start every row came with it or after it; in one that
    was in use, the ledger names the rows.
    """
    loaded = ledger.modes(transfer.target, transfer.run).get(table.target) == "load"
    statement = queries("undo")["report_left"].format(
        run=Literal(transfer.run),
        name=Literal(table.target),
        key=_key(transfer, table),
        ours=Literal(list(ledger.xids(transfer.target, transfer.run, table.target))),
        target=transfer.target_table(table.target),
        touched=SQL("true") if loaded else _image("touched", transfer, table),
    )
    return transfer.target.execute(statement).rowcount
