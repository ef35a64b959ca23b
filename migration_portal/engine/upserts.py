"""What an upsert changes in a row that is there already, and keeping what was there before."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table


def overwrites(transfer: Transfer, table: Table) -> list[str]:
    """The columns that an upsert changes: the mapped ones, never the plan's defaults (they are the IAM's by now)."""
    key = transfer.info(table).primary_key
    return [column.name for column in table.columns if column.name not in key and not column.default]


def differs(transfer: Transfer, table: Table, old: str, new: str) -> Composable:
    """True where the two rows differ in what an upsert changes; `old` and `new` are aliases."""
    columns, info = overwrites(transfer, table), transfer.info(table)

    def row(alias: str) -> Composable:
        return SQL(", ").join(
            SQL("{}.{}{}").format(
                compile.raw(alias),
                Identifier(name),
                SQL("::text" if compile.by_its_text(info.columns[name]) else ""),
            )
            for name in columns
        )

    return SQL("ROW({}) IS DISTINCT FROM ROW({})").format(row(old), row(new)) if columns else SQL("false")


def on_conflict(transfer: Transfer, table: Table) -> Composable:
    """What an upsert does to a row `t` that is there already: change it, and only where it differs."""
    changed = overwrites(transfer, table)
    if not changed:
        return SQL("NOTHING")
    assignments = SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(name)) for name in changed)
    return SQL("UPDATE SET {} WHERE {}").format(assignments, differs(transfer, table, "t", "excluded"))


def was_there(transfer: Transfer, table: Table) -> Composed:
    """True for target rows `t` that were there before this run, as far as it has changed or removed them."""
    key = compile.target_key(transfer.info(table).primary_key, "t")
    return queries("undo")["was_there"].format(run=Literal(transfer.run), name=Literal(table.target), key=key)


def remember_removed(transfer: Transfer, table: Table, leaving: Composable) -> Composed:
    """The statement that keeps the rows `t` that are about to be removed, if they were there before this run."""
    return queries("undo")["remember_removed"].format(
        run=Literal(transfer.run),
        name=Literal(table.target),
        key=compile.target_key(transfer.info(table).primary_key, "t"),
        target=transfer.target_table(table.target),
        leaving=leaving,
        was_there=was_there(transfer, table),
        ours=Literal(list(ledger.xids(transfer.target, transfer.run, table.target))),
    )


def remember(transfer: Transfer, table: Table, stage: Composable) -> Composed:
    """The statement that keeps each row of the target as it is before this run changes or adds it; the first image counts."""
    key = transfer.info(table).primary_key
    return queries("undo")["remember"].format(
        run=Literal(transfer.run),
        name=Literal(table.target),
        key=compile.target_key(key, "s"),
        target=transfer.target_table(table.target),
        stage=stage,
        same=compile.same(key, key, "t", "s"),
        differs=differs(transfer, table, "t", "s"),
        ours=Literal(list(ledger.xids(transfer.target, transfer.run, table.target))),
    )
