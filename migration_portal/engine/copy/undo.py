"""Removing exactly what a run wrote, and restoring what it overwrote.

A row is the run's, and was not edited since, when its xmin is among the run's commits. Rows
edited since, and rows that others refer to by now, stay where they are and are reported.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import blocks, ledger, references, source
from migration_portal.engine.ledger import Chunk, NewChunk, Outcome
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


def _remove(transfer: Transfer, table: Table, ours: Composable, piece: Composable) -> int:
    statement = queries("undo")["remove"].format(
        target=transfer.target_table(table.target),
        blocks=piece,
        ours=ours,
        was_there=_image("was_there", transfer, table),
        unreferenced=references.unreferenced(transfer, table),
    )
    return transfer.target.execute(statement).rowcount


def _remove_together(transfer: Transfer, table: Table, ours: Composable) -> int:
    """Rows of ours that refer to each other, in one statement; nobody goes to whom something leads that stays."""
    itself = [each for each in references.of_plan_too(transfer, table) if each.name == table.target]
    if not itself:
        return 0
    key = transfer.info(table).primary_key
    names = SQL(", ").join(map(Identifier, key))
    statement = queries("undo")["remove_together"].format(
        target=transfer.target_table(table.target), ours=ours, was_there=_image("was_there", transfer, table),
        unreferenced=references.unreferenced(transfer, table, lambda alias: SQL("true")), key=names,
        of_parent=SQL(", ").join(SQL("p.{}").format(Identifier(name)) for name in key),
        refers=source.any_of(compile.same(each.columns, each.parent_columns, "c", "p") for each in itself),
        itself=compile.same(key, key, "g", "c"), known=compile.same(key, key, "c", "k"),
        same=compile.same(key, key, "g", "t"), stays=compile.same(key, key, "k", "g"),
    )  # fmt: skip
    return transfer.target.execute(statement).rowcount


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
