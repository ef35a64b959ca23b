"""One transaction of catch-up: stage what the source has for some keys, then write, change and remove target rows.

Parents are written before children and children removed before parents. Rows that swap a unique
value let go of it first; a value held by a row outside the batch widens the batch by that row,
because one snapshot of the source cannot hold it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger, quarantine, source, upserts
from migration_portal.engine.catchup import lookup, quarantined
from migration_portal.engine.catchup.flow import Flow, Key
from migration_portal.engine.catchup.uniques import free, wants_new_values
from migration_portal.engine.catchup.work import Merged, Work, key_of, listed, names_of, owned_by, query
from migration_portal.engine.queries import queries
from migration_portal.locks import Lock
from migration_portal.plan import compile, directions
from migration_portal.plan.model import ForeignKey, Table


def lock(target: Connection[Any], direction: str) -> None:
    """Be the only one that applies rows in this direction, until the end of the transaction."""
    number = Literal(1 if direction == "forward" else 2)
    target.execute(query("lock", lock_class=Literal(int(Lock.APPLY)), number=number))


def merge(
    flow: Flow,
    keys: dict[str, list[Key]],
    newest: Mapping[tuple[str, Key], int],
    *,
    any_home: bool = False,
    widen: bool = True,
    guarded: bool = True,
) -> Merged:
    """Make the target agree about these keys, in one transaction. Raises Widen or psycopg.Error; then nothing has changed.

    `newest` is the newest entry of each source key. Not `guarded`, one row that cannot be cast fails
    the whole batch, which is otherwise a third faster.
    """
    work = Work(flow, keys, any_home, widen, guarded, newest)
    transfer = flow.transfer
    with transfer.target.transaction():
        lock(transfer.target, flow.direction)
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes, work.left = flow.homes(), flow.left()
        with transfer.source.transaction():
            for table in work.tables:
                lookup.stage_rows(work, table)
        for table in work.tables:
            _write(work, table)
        for table in reversed(work.tables):
            _remove(work, table)
        if flow.direction == "forward":
            quarantined.close(work)
            _touch(work)
    return work.merged


def empty(flow: Flow, name: str) -> int:
    """After a TRUNCATE of the source table: remove what it has no row for. Returns rows removed."""
    work = Work(flow, {name: []}, any_home=False, widen=False)
    transfer = flow.transfer
    removed = 0
    with transfer.target.transaction():
        lock(transfer.target, flow.direction)
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes = flow.homes()
        with transfer.source.transaction():
            for table in work.tables:
                lookup.stage_all(work, table)
        for table in reversed(work.tables):
            key = key_of(work, table)
            emptied = query(
                "emptied", target=transfer.target_table(table.target), stage=names_of(table)[0],
                mine=_mine(work, table), same=compile.same(key, key, "t", "s"),
            )  # fmt: skip
            removed += transfer.target.execute(emptied).rowcount
            if flow.direction == "forward":
                ledger.record_commit(transfer.target, transfer.run, table.target)
    return removed


def _write(work: Work, table: Table) -> None:
    flow, transfer = work.flow, work.flow.transfer
    stage, _ = names_of(table)
    if flow.settled:
        _orphans(work, table)
        for name, columns in transfer.info(table).uniques.items():
            if all(table.column(c) for c in columns) and wants_new_values(work, table, columns):
                free(work, table, columns, name)
    if flow.direction == "forward":
        if ledger.modes(transfer.target, transfer.run).get(table.target) == "upsert":
            transfer.target.execute(upserts.remember(transfer, table, stage))
        ledger.record_commit(transfer.target, transfer.run, table.target)
    upsert = query(
        "upsert", target=transfer.target_table(table.target), stage=stage, names=listed(table.column_names),
        key=listed(key_of(work, table)), action=upserts.on_conflict(transfer, table),
    )  # fmt: skip
    work.merged.written += transfer.target.execute(upsert).rowcount
    quarantined.release_orphans(work, table)


def _orphans(work: Work, table: Table) -> None:
    transfer = work.flow.transfer
    stage, _ = names_of(table)
    for key in transfer.info(table).foreign_keys:
        if all(table.column(c) for c in key.columns) and key.parent != table.target:
            _leaving(work, table, key)
            orphan = compile.orphan(key.columns, transfer.target_table(key.parent), key.parent_columns)
            orphans = transfer.target.execute(query("orphans", stage=stage, orphan=orphan)).fetchall()
            work.collide(table, [row[0] for row in orphans], f"missing_{key.parent}")


def _leaving(work: Work, table: Table, key: ForeignKey) -> None:
    """Staged rows whose parent is about to be removed by this batch go with it, and are quarantined."""
    transfer = work.flow.transfer
    parent = next((t for t in work.tables if t.target == key.parent), None)
    if parent is None or parent.target == table.target:
        return
    names = [c.name for c in directions.owner(parent, transfer.source_catalog, transfer.target_catalog)]
    pairs = dict(zip(key.parent_columns, key.columns, strict=True))
    if not set(names) <= set(pairs):
        return
    stage, (parent_stage, parent_keys) = names_of(table)[0], names_of(parent)
    leaving = query(
        "leaving", stage=stage, parent_stage=parent_stage, parent_keys=parent_keys, protected=work.protect(parent),
        owned=compile.same([pairs[n] for n in names], names, "s", "k"),
        same=compile.same(key.columns, key.parent_columns, "s", "p"),
    )  # fmt: skip
    keys = [row[0] for row in transfer.target.execute(leaving).fetchall()]
    if keys and work.flow.direction == "forward":
        rejected = quarantine.rejections(transfer, table, keys, f"missing_{key.parent}")
        work.merged.rejected += quarantine.add(transfer, table, rejected)


def _remove(work: Work, table: Table) -> None:
    transfer = work.flow.transfer
    stage, keys = names_of(table)
    key = key_of(work, table)
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    if table.target in work.complete and len(owner) == len(key):
        return
    mine, owned = _mine(work, table), owned_by(work, table)
    target = transfer.target_table(table.target)
    if work.homes_differ and work.first(table):
        _note_deleted_elsewhere(work, table, mine=mine, owned=owned)
    delete = query(
        "delete", target=target, keys=keys, stage=stage, owned=owned, mine=mine,
        same=compile.same(key, key, "t", "s"), protected=work.protect(table),
    )  # fmt: skip
    work.merged.removed += transfer.target.execute(delete).rowcount


def _note_deleted_elsewhere(work: Work, table: Table, *, mine: Composable, owned: Composable) -> None:
    """Rows that are gone from a source that does not own them, and still live in the target, are strays."""
    transfer, (stage, keys) = work.flow.transfer, names_of(table)
    schema = Identifier(transfer.schema)
    staged = transfer.target.execute(SQL("SELECT portal_source_key FROM {}").format(stage))
    present = {tuple(row[0]) for row in staged} | work.protected.get(table.source, set())
    gone = query(
        "gone_elsewhere", target=transfer.target_table(table.target), keys=keys, owned=owned, mine=mine,
        tenant=directions.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t"),
        present=source.array_of_keys(present),
    )  # fmt: skip
    for key, tenant in transfer.target.execute(gone).fetchall():
        work.stray(table.source, key, tenant, "deleted")


def _mine(work: Work, table: Table) -> Composable:
    """Target rows that the source may change: of tenants at home there; where only part of the key is known, rows we wrote."""
    flow, transfer = work.flow, work.flow.transfer
    mine: Composable = SQL("true")
    if not work.any_home:
        schema = Identifier(transfer.schema)
        tenant = directions.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t")
        mine = directions.at_home(tenant, work.homes, by_default=flow.by_default)
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    if len(owner) < len(key_of(work, table)) and flow.direction == "forward":
        written = query("written_by_us", target_name=Literal(table.target))
        mine = SQL("{} AND ({} OR {})").format(mine, written, _parent_goes(work, table))
    return mine


def _parent_goes(work: Work, table: Table) -> Composable:
    """The row's parent, of the same source row, is removed by this batch: then it goes with it, even if we did not write it."""
    transfer = work.flow.transfer
    through = directions.through_first(transfer.plan, table, transfer.target_catalog)
    if through is None:
        return SQL("false")
    parent, key = through
    joined = compile.same(key.parent_columns, key.columns, "p", "t")
    return SQL("NOT EXISTS (SELECT FROM {} AS p WHERE {})").format(names_of(parent)[0], joined)


def _touch(work: Work) -> None:
    """Note the keys for continuous verification."""
    transfer = work.flow.transfer
    for name in work.keys:
        keys = names_of(directions.siblings(transfer.plan, name)[0])[1]
        touch = queries("continuous")["touch"].format(run=Literal(transfer.run), source=Literal(name), keys=keys)
        transfer.target.execute(touch)
