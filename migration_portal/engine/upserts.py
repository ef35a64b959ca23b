"""What an upsert changes in a row that is there already, and keeping what was there before."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table
from migration_portal.plan.round_trip import trip_of


def overwrites(transfer: Transfer, table: Table) -> list[str]:
    """The columns that an upsert changes: the mapped ones, never the plan's defaults (they are the IAM's by now)."""
    key = transfer.info(table).primary_key
    return [column.name for column in table.columns if column.name not in key and not column.default]


def differs(transfer: Transfer, table: Table, old: str, new: str) -> Composable:
    """True where the two rows differ in what an upsert changes; `old` and `new` are aliases."""
    columns, info = overwrites(transfer, table), transfer.info(table)
    if not columns:
        return SQL("false")
    texts = [SQL("::text" if compile.by_its_text(info.columns[name]) else "") for name in columns]
    there = (
        SQL("{}.{}{}").format(compile.raw(old), Identifier(name), text)
        for name, text in zip(columns, texts, strict=True)
    )
    wanted = (
        SQL("{}{}").format(_value(transfer, table, name, old, new), text)
        for name, text in zip(columns, texts, strict=True)
    )
    return SQL("ROW({}) IS DISTINCT FROM ROW({})").format(SQL(", ").join(there), SQL(", ").join(wanted))


def _value(transfer: Transfer, table: Table, name: str, old: str, new: str) -> Composable:
    """What the column of the row `old` becomes. Coming back, legacy keeps its own unless the IAM changed what it is made of."""
    staged = SQL("{}.{}").format(compile.raw(new), Identifier(name))
    trip = trip_of(transfer.plan, table, transfer.target_catalog, transfer.source_catalog)
    column = table.column(name)
    if trip is None or column is None or name not in table.kept:
        return staged
    return SQL("(CASE WHEN {staged}{text} IS DISTINCT FROM {echo}{text} THEN {staged} ELSE {kept} END)").format(
        staged=staged, echo=trip.echo(column, old), kept=SQL("{}.{}").format(compile.raw(old), Identifier(name)),
        text=SQL("::text" if compile.by_its_text(transfer.info(table).columns[name]) else ""),
    )  # fmt: skip


def on_conflict(transfer: Transfer, table: Table) -> Composable:
    """What an upsert does to a row `t` that is there already: change it, and only where it differs."""
    changed = overwrites(transfer, table)
    if not changed:
        return SQL("NOTHING")
    assignments = SQL(", ").join(
        SQL("{} = {}").format(Identifier(name), _value(transfer, table, name, "t", "excluded")) for name in changed
    )
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
