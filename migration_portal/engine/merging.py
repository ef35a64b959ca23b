"""One transaction of catch-up: stage what the source has for some keys, then write, change and remove target rows.

Parents are written before children and children removed before parents. Rows that swap a unique
value let go of it first; a value held by a row outside the batch widens the batch by that row,
because one snapshot of the source cannot hold it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger, quarantine, source, staging
from migration_portal.engine.merge_uniques import free, wants_new_values
from migration_portal.engine.merge_work import Key, Merged, Work, key_of, listed, names_of, owned_by, pseudo, query
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.queries import queries
from migration_portal.engine.reading import pipe
from migration_portal.plan import compile, directions
from migration_portal.plan.model import ForeignKey, Table

if TYPE_CHECKING:
    from migration_portal.engine.catchup import Flow

_LOCK_CLASS = 0x5169


def lock(target: Connection[Any], direction: str) -> None:
    """Be the only one that applies rows in this direction, until the end of the transaction."""
    number = Literal(1 if direction == "forward" else 2)
    target.execute(query("lock", lock_class=Literal(_LOCK_CLASS), number=number))


def merge(
    flow: Flow,
    keys: dict[str, list[Key]],
    newest: Mapping[tuple[str, Key], int],
    *,
    whoever: bool = False,
    widen: bool = True,
    guarded: bool = True,
) -> Merged:
    """Make the target agree about these keys, in one transaction. Raises Widen or psycopg.Error; then nothing has changed.

    `newest` is the newest entry of each source key. Not `guarded`, one row that cannot be cast fails
    the whole batch, which is otherwise a third faster.
    """
    work = Work(flow, keys, whoever, widen, guarded, newest)
    sides = flow.sides
    with sides.iam.transaction():
        lock(sides.iam, flow.name)
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes, work.left = flow.homes(), flow.left()
        with sides.legacy.transaction():
            for table in work.tables:
                _stage(work, table)
        for table in work.tables:
            _write(work, table)
        for table in reversed(work.tables):
            _remove(work, table)
        if flow.name == "forward":
            _close_quarantine(work)
            _touch(work)
    return work.merged


# --- reading ------------------------------------------------------------------------------


def _at_home(work: Work, name: str) -> Composable:
    tenant = directions.tenant_of_source_row(work.flow.sides.plan, name)
    return directions.at_home(tenant, work.homes, by_default=work.flow.by_default)


def _exceptions(work: Work, table: Table, keys: list[Key]) -> None:
    """Set rejected rows aside, and note those written on a side that does not own their tenant."""
    flow, sides, name = work.flow, work.flow.sides, table.source
    if table.reject:
        statement = SQL("SELECT {}, {}, row_to_json({})::text FROM {} WHERE ({}) AND {}").format(
            compile.source_key(table), compile.reject_reason(table), Identifier(name),
            compile.source_table(sides.plan, table), source.by_source_key(table, keys), compile.rejected(table),
        )  # fmt: skip
        found = [Rejected(key, reason, row) for key, reason, row in sides.legacy.execute(statement).fetchall()]
        work.merged.rejected += quarantine.set_aside(sides, table, found)
    first = directions.siblings(sides.plan, name)[0]
    if work.whoever or table is not first or (flow.by_default and not work.homes):
        return
    statement = SQL("SELECT {}, {} FROM {} WHERE ({}) AND NOT {} AND NOT {}").format(
        compile.source_key(first), directions.tenant_of_source_row(sides.plan, name),
        compile.source_table(sides.plan, first), source.by_source_key(first, keys), compile.rejected(first), _at_home(work, name),
    )  # fmt: skip
    for key, tenant in sides.legacy.execute(statement).fetchall():
        _stray(work, name, key, tenant, "written")


def _stray(work: Work, name: str, key: Sequence[str], tenant: str | None, what: str) -> None:
    work.spared.setdefault(name, set()).add(tuple(key))
    if work.newest.get((name, tuple(key)), 0) <= work.left.get(tenant or "", 0):
        return  # from before the tenant left: it was drained then, under its new name or old
    work.merged.strays += 1
    about = {"run": work.flow.sides.run, "direction": work.flow.name, "table": name, "key": list(key)}
    work.flow.ledger.execute(queries("catchup")["stray"], about | {"tenant": tenant, "what": what})


def _stage(work: Work, table: Table) -> None:
    """The rows that the source has for the keys, and for each key what it would be in the target."""
    sides = work.flow.sides
    stage, keys = names_of(table)
    info, owner = sides.info(table), directions.owner(table, sides.source, sides.target)
    columns = [SQL("{} {}").format(Identifier(c.name), compile.raw(info.columns[c.name].type)) for c in owner]
    sides.iam.execute(query("stage", stage=stage, target=sides.target_table(table.target)))
    sides.iam.execute(query("keys", keys=keys, columns=SQL(", ").join(columns)))
    wanted = work.keys[table.source]
    where = source.by_source_key(table, wanted)
    if not work.whoever:
        where = SQL("({}) AND {}").format(where, _at_home(work, table.source))
    select = compile.mapped(
        sides.plan, table, info, where=where, extra=[compile.source_key(table)], guarded=work.guarded
    )
    staged = pipe(sides.legacy, select, sides.iam, stage, [*table.column_names, "portal_source_key"])
    names = [*(c.name for c in owner), "portal_source_key"]
    if staged == len(wanted):
        # Nothing is gone, rejected or astray: the stage knows all there is to know.
        work.complete.add(table.target)
        statement = SQL("INSERT INTO {} ({names}) SELECT {names} FROM {}")
        sides.iam.execute(statement.format(keys, stage, names=listed(names)))
        return
    _exceptions(work, table, wanted)
    pipe(sides.legacy, pseudo(sides, table, wanted), sides.iam, keys, names)


# --- writing ------------------------------------------------------------------------------


def _mine(work: Work, table: Table) -> Composable:
    """Target rows that the source may change: of tenants at home there; where only part of the key is known, rows we wrote."""
    flow, sides = work.flow, work.flow.sides
    schema = Identifier(sides.schema)
    tenant = directions.target_tenant(sides.plan, table, sides.target, schema, "t")
    mine = (
        SQL("true") if work.whoever else directions.at_home(tenant, work.homes, by_default=flow.by_default)
    )  # fmt: skip
    owner = directions.owner(table, sides.source, sides.target)
    if len(owner) < len(key_of(work, table)) and flow.name == "forward":
        written = SQL(
            "EXISTS (SELECT FROM portal_ledger.commits AS c WHERE c.xid = t.xmin AND c.table_name = {})"
        ).format(Literal(table.target))
        mine = SQL("{} AND ({} OR {})").format(mine, written, _parent_goes(work, table))
    return mine


def _parent_goes(work: Work, table: Table) -> Composable:
    """The row's parent, of the same source row, is removed by this batch: then it goes with it, whoever wrote it."""
    sides = work.flow.sides
    found = directions.through_first(sides.plan, table, sides.target)
    if found is None:
        return SQL("false")
    parent, key = found
    joined = compile.same(key.parent_columns, key.columns, "p", "t")
    return SQL("NOT EXISTS (SELECT FROM {} AS p WHERE {})").format(names_of(parent)[0], joined)


def _write(work: Work, table: Table) -> None:
    flow, sides = work.flow, work.flow.sides
    stage, _ = names_of(table)
    if flow.settled:
        _orphans(work, table)
        for name, columns in sides.info(table).uniques.items():
            if all(table.column(c) for c in columns) and wants_new_values(work, table, columns):
                free(work, table, columns, name)
    if flow.name == "forward":
        if ledger.modes(sides.iam, sides.run).get(table.target) == "upsert":
            sides.iam.execute(staging.remember(sides, table, stage))
        ledger.record_commit(sides.iam, sides.run, table.target)
    key = key_of(work, table)
    work.merged.written += sides.iam.execute(
        query(
            "upsert", target=sides.target_table(table.target), stage=stage, action=staging.on_conflict(sides, table),
            names=listed(table.column_names), key=listed(key),
        )
    ).rowcount  # fmt: skip
    _parents_arrived(work, table)


def _orphans(work: Work, table: Table) -> None:
    sides = work.flow.sides
    stage, _ = names_of(table)
    for key in sides.info(table).foreign_keys:
        if all(table.column(c) for c in key.columns) and key.parent != table.target:
            _leaving(work, table, key)
            orphan = staging.orphan_condition(key.columns, sides.target_table(key.parent), key.parent_columns)
            found = sides.iam.execute(query("orphans", stage=stage, orphan=orphan)).fetchall()
            work.collide(table, [row[0] for row in found], f"missing_{key.parent}")


def _leaving(work: Work, table: Table, key: ForeignKey) -> None:
    """Staged rows whose parent is about to be removed by this batch go with it, and are set aside."""
    sides = work.flow.sides
    parent = next((t for t in work.tables if t.target == key.parent), None)
    if parent is None or parent.target == table.target:
        return
    names = [c.name for c in directions.owner(parent, sides.source, sides.target)]
    pairs = dict(zip(key.parent_columns, key.columns, strict=True))
    if not set(names) <= set(pairs):
        return
    stage, (parent_stage, parent_keys) = names_of(table)[0], names_of(parent)
    leaving = query(
        "leaving", stage=stage, parent_stage=parent_stage, parent_keys=parent_keys, spared=work.spare(parent),
        owned=compile.same([pairs[n] for n in names], names, "s", "k"),
        same=compile.same(key.columns, key.parent_columns, "s", "p"),
    )  # fmt: skip
    found = [row[0] for row in sides.iam.execute(leaving).fetchall()]
    if found and work.flow.name == "forward":
        rejected = staging.rejections(sides, table, found, f"missing_{key.parent}")
        work.merged.rejected += quarantine.set_aside(sides, table, rejected)


def _remove(work: Work, table: Table) -> None:
    sides = work.flow.sides
    stage, keys = names_of(table)
    key = key_of(work, table)
    owner = directions.owner(table, sides.source, sides.target)
    if table.target in work.complete and len(owner) == len(key):
        return
    mine, owned = _mine(work, table), owned_by(work, table)
    target = sides.target_table(table.target)
    if (
        not work.whoever
        and (work.homes or not work.flow.by_default)
        and table is directions.siblings(sides.plan, table.source)[0]
    ):
        tenant = directions.target_tenant(sides.plan, table, sides.target, Identifier(sides.schema), "t")
        present = {tuple(row[0]) for row in sides.iam.execute(SQL("SELECT portal_source_key FROM {}").format(stage))}
        present |= work.spared.get(table.source, set())
        gone = query(
            "gone_elsewhere", target=target, keys=keys, owned=owned, tenant=tenant, mine=mine,
            present=source.array_of_keys(present),
        )  # fmt: skip
        for found, whose in sides.iam.execute(gone).fetchall():
            _stray(work, table.source, found, whose, "deleted")
    work.merged.removed += sides.iam.execute(
        query(
            "delete", target=target, keys=keys, stage=stage, owned=owned, mine=mine,
            same=compile.same(key, key, "t", "s"), spared=work.spare(table),
        )
    ).rowcount  # fmt: skip


def empty(flow: Flow, name: str) -> int:
    """After a TRUNCATE of the source table: remove what it has no row for. Returns rows removed."""
    work = Work(flow, {name: []}, whoever=False, widen=False)
    sides = flow.sides
    removed = 0
    with sides.iam.transaction():
        lock(sides.iam, flow.name)
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes = flow.homes()
        with sides.legacy.transaction():
            for table in work.tables:
                stage, _ = names_of(table)
                sides.iam.execute(query("stage", stage=stage, target=sides.target_table(table.target)))
                select = compile.mapped(sides.plan, table, sides.info(table), where=_at_home(work, name))
                pipe(sides.legacy, select, sides.iam, stage, table.column_names)
        for table in reversed(work.tables):
            stage, _ = names_of(table)
            key = key_of(work, table)
            parts = {"target": sides.target_table(table.target), "stage": stage, "mine": _mine(work, table)}
            removed += sides.iam.execute(query("emptied", same=compile.same(key, key, "t", "s"), **parts)).rowcount
            if flow.name == "forward":
                ledger.record_commit(sides.iam, sides.run, table.target)
    return removed


def _touch(work: Work) -> None:
    """Note the keys for continuous verification."""
    sides = work.flow.sides
    for name in work.keys:
        keys = names_of(directions.siblings(sides.plan, name)[0])[1]
        touch = queries("rechecking")["touch"].format(run=Literal(sides.run), source=Literal(name), keys=keys)
        sides.iam.execute(touch)


# --- quarantine ---------------------------------------------------------------------------


def _close_quarantine(work: Work) -> None:
    """Rows that arrived after all, and rows that the source has no more, are settled."""
    sides = work.flow.sides
    for table in work.tables:
        stage, _ = names_of(table)
        sides.iam.execute(query("came", stage=stage), {"run": sides.run, "table": table.target})
        found = sides.iam.execute(
            "SELECT source_key FROM portal_ledger.quarantine WHERE run = %s AND table_name = %s AND state <> 'copied'",
            [sides.run, table.target],
        )
        waiting = {tuple(row[0]) for row in found} & set(work.keys[table.source])
        if waiting:
            with sides.legacy.transaction():
                statement = SQL("SELECT {} FROM {} WHERE {}").format(
                    compile.source_key(table),
                    compile.source_table(sides.plan, table),
                    source.by_source_key(table, list(waiting)),
                )
                there = {tuple(row[0]) for row in sides.legacy.execute(statement)}
            for key in waiting - there:
                about = {"run": sides.run, "source": table.source, "key": list(key)}
                sides.iam.execute(queries("catchup")["went"], about)


def _parents_arrived(work: Work, table: Table) -> None:
    """Orphans in quarantine that waited for rows of this table are looked up again."""
    sides = work.flow.sides
    if work.flow.name != "forward":
        return
    stage, _ = names_of(table)
    reason = f"missing_{table.target}"
    waits = sides.iam.execute(
        "SELECT EXISTS (SELECT FROM portal_ledger.quarantine WHERE run = %s AND state = 'open' AND reason = %s)",
        [sides.run, reason],
    ).fetchone()
    if not waits or not waits[0]:
        return
    keys = [part for row in sides.iam.execute(SQL("SELECT portal_source_key FROM {}").format(stage)) for part in row[0]]
    about = {"run": sides.run, "reason": reason, "keys": keys}
    for name, key in sides.iam.execute(queries("catchup")["waiting_for"], about).fetchall():
        # On the queue's own session: if this transaction fails they are looked up once in vain.
        work.flow.queue.execute(queries("capture")["enqueue"], {"table": name, "key": key, "tenant": None})
