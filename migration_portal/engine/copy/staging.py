"""The careful way to copy rows: staged first, so that bad ones can be taken out one by one.

What a query can foresee (duplicates, orphans) is taken out by one query each; what none foresaw
is found by halving the range, or the stage, until the row that fails stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.engine import ledger, quarantine, single_out, source, upserts
from migration_portal.engine.copy.reading import count, quarantine_rejected
from migration_portal.engine.errors import blames_a_row, describe
from migration_portal.engine.ledger import Outcome
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile, uniques
from migration_portal.plan.model import Table, Unique

STAGE = SQL("pg_temp.portal_stage")
"""The rows that were written last, as the target has them."""


def copy_rows(transfer: Transfer, table: Table, where: Composable) -> Outcome:
    """Copy the source rows that satisfy `where` through a stage, inside the caller's target transaction."""
    with transfer.source.transaction():
        read = count(transfer, table, where)
        quarantined = quarantine_rejected(transfer, table, where)
        _create_stage(transfer, table)
        quarantined += _stage(transfer, table, where)
    quarantined += quarantine.add(transfer, table, _foreseen(transfer, table))
    quarantined += quarantine.add(transfer, table, _insert(transfer, table))
    return Outcome(read=read, written=read - quarantined, quarantined=quarantined)


def _create_stage(transfer: Transfer, table: Table) -> None:
    """A temporary table with the target's NOT NULL and CHECK rules, so that they speak while rows can still be told apart."""
    transfer.target.execute("DROP TABLE IF EXISTS pg_temp.portal_stage")
    transfer.target.execute(queries("staging")["create"].format(target=transfer.target_table(table.target)))


def _stage(transfer: Transfer, table: Table, where: Composable) -> int:
    """Fill the stage with all rows but those that cannot be mapped. Returns rows quarantined."""
    quarantined = 0
    for key, refusal in single_out.stage(transfer, table, STAGE, where):
        rejected = quarantine.rejections(transfer, table, [key], "cannot_be_mapped", detail=str(refusal))
        quarantined += quarantine.add(transfer, table, rejected)
    return quarantined


def _foreseen(transfer: Transfer, table: Table) -> list[Rejected]:
    """Take out of the stage what would collide: same key twice, key of another row of this run, taken uniques, orphans."""
    info = transfer.info(table)
    alike: Composable = SQL(", ").join(map(Identifier, info.primary_key))
    rejected = _twice(transfer, table, alike, quarantine.DOUBLE, among=SQL("true"))
    rejected += _taken_by_this_run(transfer, table, info.primary_key)
    if _constraints_suspended(transfer, table):
        return rejected  # settled when they are built: parents may still be on their way
    for name, unique in info.uniques.items():
        if uniques.filled(unique, table):
            alike, among = uniques.listed(unique), uniques.counts(unique)
            rejected += _twice(transfer, table, alike, uniques.reason(unique), among=among)
            rejected += _unique_taken(transfer, table, unique, name)
    for key in info.foreign_keys:
        if all(table.column(c) for c in key.columns):
            if key.parent != table.target:
                parent = transfer.target_table(key.parent)
                orphan = compile.orphan(key.columns, parent, key.parent_columns)
                rejected += _take_out(transfer, table, orphan, f"missing_{key.parent}")
            if doubles := quarantine.doubles(transfer, table, key):
                double = SQL("s.portal_source_key::text = ANY({})").format(source.array_of_keys(doubles))
                rejected += _take_out(transfer, table, double, quarantine.DOUBLE)
    return rejected


def _constraints_suspended(transfer: Transfer, table: Table) -> bool:
    row = transfer.target.execute(
        "SELECT EXISTS (SELECT FROM portal_ledger.suspended WHERE run = %s AND table_name = %s AND restored_at IS NULL)",
        [transfer.run, table.target],
    ).fetchone()
    return bool(row and row[0])


def _twice(transfer: Transfer, table: Table, alike: Composable, reason: str, *, among: Composable) -> list[Rejected]:
    """Of staged rows that are `alike`, a list over one of them, the first source key stays; only rows `among` count."""
    twice = queries("staging")["twice"].format(columns=alike, stage=STAGE, set=among)
    return _take_out(transfer, table, twice, reason)


def _taken_by_this_run(transfer: Transfer, table: Table, primary_key: Sequence[str]) -> list[Rejected]:
    """A row that this run wrote under the same key came from another source row: two ids that are one uuid."""
    taken = SQL("EXISTS (SELECT FROM {} AS t WHERE {} AND t.xmin::text = ANY({}))").format(
        transfer.target_table(table.target),
        compile.same(primary_key, primary_key, "t", "s"),
        Literal(list(ledger.xids(transfer.target, transfer.run, table.target))),
    )
    return _take_out(transfer, table, taken, quarantine.DOUBLE)


def _unique_taken(transfer: Transfer, table: Table, unique: Unique, name: str) -> list[Rejected]:
    primary_key = transfer.info(table).primary_key
    taken = SQL("EXISTS (SELECT FROM {target} AS t WHERE {same} AND NOT ({key}))").format(
        target=uniques.searched(unique, transfer.target_table(table.target)),
        same=uniques.collide(unique, "t", "s"),
        key=compile.same(primary_key, primary_key, "t", "s"),
    )
    return _take_out(transfer, table, taken, uniques.reason(unique), detail=name)


def _take_out(transfer: Transfer, table: Table, condition: Composable, reason: str, detail: str = "") -> list[Rejected]:
    statement = SQL("DELETE FROM {} AS s WHERE {} RETURNING portal_source_key").format(STAGE, condition)
    keys = [row[0] for row in transfer.target.execute(statement)]
    return quarantine.rejections(transfer, table, keys, reason, detail)


def _insert(transfer: Transfer, table: Table) -> list[Rejected]:
    """Move the stage into the target; what still collides is found by halving. Records the transactions it wrote in."""
    row = transfer.target.execute(queries("staging")["ordinals"].format(stage=STAGE)).fetchone()
    assert row is not None
    if ledger.modes(transfer.target, transfer.run).get(table.target) == "upsert":
        transfer.target.execute(upserts.remember(transfer, table, STAGE))
    rejected = _insert_range(transfer, table, row[0], row[1])
    primary_key = transfer.info(table).primary_key
    commits = queries("staging")["commits"].format(
        run=Literal(transfer.run),
        name=Literal(table.target),
        target=transfer.target_table(table.target),
        stage=STAGE,
        same=compile.same(primary_key, primary_key, "t", "s"),
    )
    transfer.target.execute(commits)
    return rejected


def _insert_range(transfer: Transfer, table: Table, first: int, end: int) -> list[Rejected]:
    if first >= end:
        return []
    try:
        with transfer.target.transaction():
            transfer.target.execute(_upsert(transfer, table, first, end))
        return []
    except psycopg.Error as error:
        refusal = describe(error, subject=table.target)
        if not blames_a_row(refusal):
            raise
    if end - first > 1:
        middle = (first + end) // 2
        return _insert_range(transfer, table, first, middle) + _insert_range(transfer, table, middle, end)
    alone = SQL("s.portal_ordinal = {}").format(Literal(first))
    return _take_out(transfer, table, alone, "cannot_be_stored", detail=str(refusal))


def _upsert(transfer: Transfer, table: Table, first: int, end: int) -> Composed:
    """Insert staged rows; rows that are there already are changed only where they differ."""
    return queries("staging")["upsert"].format(
        target=transfer.target_table(table.target),
        names=SQL(", ").join(map(Identifier, table.column_names)),
        stage=STAGE,
        first=Literal(first),
        end=Literal(end),
        key=SQL(", ").join(map(Identifier, transfer.info(table).primary_key)),
        action=upserts.on_conflict(transfer, table),
    )
