"""Removing exactly what a run wrote, and restoring what it overwrote.

A row is the run's, and was not edited since, when its xmin is among the run's commits. Rows
edited since, and rows that others refer to by now, stay where they are and are reported.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import blocks, ledger
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
from migration_portal.engine.queries import queries
from migration_portal.engine.references import Of, refers_to_itself, unreferenced
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


def whole(transfer: Transfer, table: Table) -> int:
    """Undo the run's rows of a whole table, in the caller's transaction. Returns how many of them stayed."""
    ours = Literal(list(ledger.xids(transfer.target, transfer.run, table.target)))
    _restore(transfer, table, ours)
    _remove(transfer, table, ours, SQL("true"))
    _remove_together(transfer, table, ours)
    return _report_left(transfer, table)


def conclude(transfer: Transfer, chunk: Chunk) -> Outcome:
    """After a table's pieces: report what stayed, and mark the chunk done."""
    table = transfer.table(chunk.table_name)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        removed = _remove_together(
            transfer, table, Literal(list(ledger.xids(transfer.target, transfer.run, table.target)))
        )
        left = _report_left(transfer, table)
        about = {"run": transfer.run, "table": table.target}
        transfer.target.execute(queries("undo")["discard_quarantine"], about)
        outcome = Outcome(read=left, written=-removed)
        ledger.done(transfer.target, chunk, outcome)
    return outcome


def put_back(transfer: Transfer, chunk: Chunk) -> Outcome:
    """After all tables' pieces, parents first: put back the rows that catch-up had removed, and mark the chunk done."""
    table = transfer.table(chunk.table_name)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        about = {"table": transfer.quoted(transfer.schema, table.target)}
        columns = [row[0] for row in transfer.target.execute(queries("undo")["columns"], about)]
        orphans = [
            compile.orphan(key.columns, transfer.target_table(key.parent), key.parent_columns)
            for key in transfer.info(table).foreign_keys
            if key.parent != table.target
        ]
        statement = queries("undo")["put_back"].format(
            run=Literal(transfer.run), name=Literal(table.target), target=transfer.target_table(table.target),
            key=_key(transfer, table), columns=SQL(", ").join(map(Identifier, columns)),
            orphan=SQL(" OR ").join(SQL("({})").format(orphan) for orphan in orphans) if orphans else SQL("false"),
        )  # fmt: skip
        transfer.target.execute(statement)
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()


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


def _remove(transfer: Transfer, table: Table, ours: Composable, piece: Composable, *, going: Of | None = None) -> int:
    statement = queries("undo")["remove"].format(
        target=transfer.target_table(table.target),
        blocks=piece,
        ours=ours,
        was_there=_image("was_there", transfer, table),
        unreferenced=unreferenced(transfer, table, going),
    )
    return transfer.target.execute(statement).rowcount


def _remove_together(transfer: Transfer, table: Table, ours: Composable) -> int:
    """Rows of ours that refer to each other; where something keeps one of them, from the ends of their chains."""
    if not refers_to_itself(transfer, table):
        return 0

    def of_ours(alias: str) -> Composable:
        return SQL("({}.xmin::text = ANY({}))").format(Identifier(alias), ours)

    try:
        with transfer.target.transaction():
            return _remove(transfer, table, ours, SQL("true"), going=of_ours)
    except psycopg.errors.ForeignKeyViolation:
        return sum(iter(lambda: _remove(transfer, table, ours, SQL("true")), 0))


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
