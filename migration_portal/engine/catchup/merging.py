"""One transaction of catch-up: stage what the source has for some keys, then write, change and remove target rows.

Parents are written before children and children removed before parents. Rows that swap a unique
value let go of it first; a value held by a row outside the batch widens the batch by that row,
because one snapshot of the source cannot hold it twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import capabilities, ledger, numbers, quarantine, source, triggers, upserts
from migration_portal.engine.catchup import lookup, namesakes, quarantined
from migration_portal.engine.catchup.flow import Departure, Entry, Flow
from migration_portal.engine.catchup.removing import remove, writable
from migration_portal.engine.catchup.uniques import free, wants_new_values
from migration_portal.engine.catchup.work import (
    Merged,
    Staying,
    Stays,
    Work,
    at_home_in_target,
    key_of,
    listed,
    names_of,
    owned_by,
    query,
)
from migration_portal.engine.queries import queries
from migration_portal.engine.references import referring
from migration_portal.engine.source import Key
from migration_portal.locks import Lock
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import ForeignKey, Table
from migration_portal.plan.spelling import spelled
from migration_portal.plan.uniques import filled


def lock(target: Connection[Any], direction: str) -> None:
    """Be the only one that applies rows in this direction, until the end of the transaction."""
    number = Literal(1 if direction == "forward" else 2)
    target.execute(query("lock", lock_class=Literal(int(Lock.APPLY)), number=number))


@contextmanager
def alone(work: Work) -> Iterator[None]:
    """A transaction of the target in which nobody else applies rows of this direction. Raises Refusal once we were adopted away."""
    flow = work.flow
    with flow.transfer.target.transaction():
        lock(flow.transfer.target, flow.direction)
        flow.still_ours()
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes = flow.homes()
        work.left = {tenant: Departure(*left) for tenant, left in flow.left().items()}
        yield
        if flow.direction == "reverse":
            numbers.note_written(flow.transfer)


def merge(
    flow: Flow,
    keys: dict[str, list[Key]],
    entries: Mapping[tuple[str, Key], Sequence[Entry]],
    *,
    any_home: bool = False,
    widen: bool = True,
    guarded: bool = True,
    only_gone: bool = False,
) -> Merged:
    """Make the target agree about these keys, in one transaction. Raises Widen or psycopg.Error; then nothing has changed.

    `entries` are those of each source key. Not `guarded`, one row that cannot be cast fails the whole batch, which is otherwise
    a third faster. With `only_gone`, what the source has stays as it is in the target.
    """
    staying = Staying()
    while True:  # each time at least one row more stays
        work = Work(flow, keys, any_home, widen, guarded, entries, only_gone=only_gone, staying=staying)
        try:
            return _merged(work)
        except Stays as more:
            staying.add(more.staying)


def _merged(work: Work) -> Merged:
    flow = work.flow
    if work.only_gone:
        work.protected = {name: {key for key in some if not source.is_open(key)} for name, some in work.keys.items()}
    transfer = flow.transfer
    with alone(work):
        with transfer.source.transaction():
            for table in work.tables:
                lookup.stage_rows(work, table)
            if flow.direction == "reverse":
                lookup.settle_tables(work)
        if apart := [table for table in work.tables if table.where]:
            _move_between(work, apart)
        for table in work.tables:
            if flow.direction == "reverse":
                respell(work, table)
            _write(work, table)
        for table in reversed(work.tables):
            remove(work, table)
        if stuck := _stuck(work):
            raise Stays(stuck)
        if flow.direction == "forward":
            for table in work.tables if flow.settled else ():
                capabilities.follow(transfer, table, names_of(table)[1], frozenset() if work.any_home else work.homes)
            quarantined.close(work)
            _touch(work)
        else:
            quarantined.brought(work)
    return work.merged


def _move_between(work: Work, tables: list[Table]) -> None:
    """Rows that leave one of the tables for another leave it first: what cannot must not be in both."""
    for reasons in work.staying.places.values():
        for key, (target, reason, why) in reasons.items():
            work.collide(work.flow.transfer.table(target), [key], reason, why)
    for table in reversed(tables):
        others = [names_of(other)[0] for other in tables if other.source == table.source and other is not table]
        staged = SQL(" UNION ALL ").join(SQL("SELECT portal_source_key FROM {}").format(stage) for stage in others)
        if others:
            moved = remove(work, table, SQL("k.portal_source_key IN ({})").format(staged))
            work.moving.setdefault(table.source, set()).update(moved)
    for table in tables:
        withheld = query("withheld", stage=names_of(table)[0], protected=work.protect(table))
        work.flow.transfer.target.execute(withheld)


def _stuck(work: Work) -> Staying:
    """Rows that let go of a unique value and were then neither written nor removed; that left a table for none; and that others
    went along with, and stayed themselves.
    """
    found, target = Staying(), work.flow.transfer.target
    for table in work.tables:
        stage, key = names_of(table)[0], key_of(work, table)
        if parked := work.parked.get(table.target):
            infos, kept = work.flow.transfer.info(table).columns, sorted(parked)
            columns = [
                SQL("{}::text[]::{}[]").format(Literal([each[at] for each in kept]), compile.raw(infos[name].type))
                for at, name in enumerate(key)
            ]
            statement = query(
                "still_there", target=work.flow.transfer.target_table(table.target), stage=stage,
                key=compile.target_key(key, "t"), parked=SQL(", ").join(columns), names=listed(key),
                those=compile.same(key, key, "t", "p"), same=compile.same(key, key, "t", "s"),
            )  # fmt: skip
            if keys := {tuple(row[0]) for row in target.execute(statement)}:
                found.values[table.target] = keys
        if table.target in work.counted_on:
            stayed = query(
                "stayed", target=work.flow.transfer.target_table(table.target), stage=stage, keys=names_of(table)[1],
                key=compile.target_key(key, "t"), owned=owned_by(work, table), same=compile.same(key, key, "t", "s"),
            )  # fmt: skip
            known = work.staying.rows.get(table.target, set())
            if keys := {tuple(row[0]) for row in target.execute(stayed)} - known:
                found.rows[table.target] = keys
    for name, keys in work.moving.items():
        why = work.merged.collided.get(name, {})
        if lost := {key: why[key] for key in keys if key in why}:
            found.places[name] = lost
    return found


def _write(work: Work, table: Table) -> None:
    flow, transfer = work.flow, work.flow.transfer
    stage, _ = names_of(table)
    # Before anything of the batch is taken out, or lets go of its unique values.
    looked_up = SQL("EXISTS (SELECT FROM {} AS k WHERE {})").format(names_of(table)[1], owned_by(work, table))
    remember(work, table, SQL("{} AND {}").format(looked_up, writable(work, table)))
    if work.homes_differ:
        _leave_to_their_owner(work, table)
    if flow.settled:
        _orphans(work, table)
    namesakes.keep_back(work, table)
    _keep_what_is_referred_to(work, table)
    if flow.settled:  # who takes or lets go of unique values last: by then it is known who changes
        for name, unique in transfer.info(table).uniques.items():
            if filled(unique, table) and wants_new_values(work, table, unique):
                free(work, table, unique, name)
        if table.target in flow.silenced:  # of those that refer to each other, some may wait by now
            _orphans(work, table)
    if flow.direction == "forward":
        ledger.record_commit(transfer.target, transfer.run, table.target)
    upsert = query(
        "upsert", target=transfer.target_table(table.target), stage=stage, names=listed(table.column_names),
        key=listed(key_of(work, table)), action=upserts.on_conflict(transfer, table),
    )  # fmt: skip
    with triggers.silent(transfer.target, table.target in flow.silenced):
        work.merged.written += transfer.target.execute(upsert).rowcount
    quarantined.release_orphans(work, table)


def _keep_what_is_referred_to(work: Work, table: Table) -> None:
    """Rows whose change would leave others without what they refer to wait, where foreign keys are silent with the other triggers;
    else those whose change others would follow, captured by nobody. In the IAM its own tables may follow.
    """
    transfer, key, (stage, _) = work.flow.transfer, key_of(work, table), names_of(table)
    of_plan = {each.target: each for each in transfer.plan.tables}
    for child, columns, parents, name in referring(transfer, table, changing=table.target not in work.flow.silenced):
        if work.flow.direction == "forward" and name not in of_plan:
            continue
        # What the plan does not map stays as it is, but for what legacy computes of what it does.
        infos = transfer.info(table).columns
        pairs = [(own, of) for own, of in zip(columns, parents, strict=True) if table.column(of) or infos[of].computed]
        own, changing = tuple(own for own, _ in pairs), tuple(of for _, of in pairs)
        if not set(changing) <= set(key):
            changed = query(
                "referred_to", stage=stage, target=transfer.target_table(table.target), child=compile.raw(child),
                same_key=compile.same(key, key, "t", "s"), same=compile.same(changing, changing, "t", "s"),
                joined=compile.same(columns, parents, "c", "t"), brought=_brought(work, of_plan.get(name), own, changing),
            )  # fmt: skip
            keys = [row[0] for row in transfer.target.execute(changed).fetchall()]
            side = "the IAM" if work.flow.direction == "reverse" else "legacy"
            what = f"{child} refers to it by {', '.join(parents)}, which would change: change it back in {side}."
            work.collide(table, keys, "still_referenced", what)


def _brought(work: Work, child: Table | None, columns: tuple[str, ...], parents: tuple[str, ...]) -> Composable:
    """Whether the batch itself has the row `c` refer to what the staged row `s` becomes."""
    if child is None or child not in work.tables or not set(columns) <= set(child.column_names):
        return SQL("false")
    key = key_of(work, child)
    same = SQL("{} AND {}").format(compile.same(key, key, "b", "c"), compile.same(columns, parents, "b", "s"))
    return SQL("EXISTS (SELECT FROM {} AS b WHERE {})").format(names_of(child)[0], same)


def _leave_to_their_owner(work: Work, table: Table) -> None:
    """A source row of a tenant at home here may want the place of a row of one that is not: that one's owner keeps it."""
    transfer, key = work.flow.transfer, key_of(work, table)
    schema = Identifier(transfer.schema)
    taken = query(
        "owned_elsewhere", stage=names_of(table)[0], target=transfer.target_table(table.target),
        tenant=belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t"),
        same=compile.same(key, key, "t", "s"), mine=at_home_in_target(work, table),
    )  # fmt: skip
    for source_key, tenant in transfer.target.execute(taken).fetchall():
        work.protected.setdefault(table.source, set()).add(tuple(source_key))
        if work.first(table):
            work.stray(table.source, source_key, tenant, "written")


def respell(work: Work, table: Table, *, keys: bool = True) -> None:
    """Write text ids as the target has them: rows' own, of the rows that are looked up, and of those they refer to, also where no
    foreign key says so.
    """
    transfer, (stage, looked_up), info = work.flow.transfer, names_of(table), work.flow.transfer.info(table)
    own = [(name, table.target, name) for name in info.primary_key]
    others = [
        (column, key.parent, parent)
        for key in info.foreign_keys
        for column, parent in zip(key.columns, key.parent_columns, strict=True)
    ]
    owner = {column.name for column in directions.owner(table, transfer.source_catalog, transfer.target_catalog)}
    for temporary, columns in (
        (stage, own + others),
        (looked_up, [place for place in own if place[0] in owner] if keys else []),
    ):
        for column, parent, parent_column in columns:
            if info.columns[column].type in ("text", "character varying"):
                about = {"run": transfer.run, "source": parent, "reasons": quarantine.TWINS}
                kept = [row[0] for row in work.flow.ledger.execute(queries("catchup")["twins"], about)]
                respell = query(
                    "respell", stage=temporary, column=Identifier(column), parent=transfer.target_table(parent),
                    parent_column=Identifier(parent_column), kept=SQL("{}::text[]").format(kept),
                )  # fmt: skip
                transfer.target.execute(respell)
    key = key_of(work, table)
    for mapped in table.columns:
        of_source = transfer.source_catalog[table.source].columns.get(spelled(mapped.sql))
        text = info.columns[mapped.name].type in ("text", "character varying")
        if text and mapped.name not in key and of_source is not None and of_source.type == "uuid":
            as_it_was = query(
                "as_it_was", stage=stage, column=Identifier(mapped.name), target=transfer.target_table(table.target),
                same=compile.same(key, key, "t", "s"),
            )  # fmt: skip
            transfer.target.execute(as_it_was)


def remember(work: Work, table: Table, leaving: Composable) -> None:
    """In a table that was in use, keep rows as they were before the run: those that change, and `leaving` ones, if not staged."""
    transfer, stage, key = work.flow.transfer, names_of(table)[0], key_of(work, table)
    if work.flow.direction != "forward" or ledger.modes(transfer.target, transfer.run).get(table.target) != "upsert":
        return
    transfer.target.execute(upserts.remember(transfer, table, stage))
    gone = SQL("{} AND NOT EXISTS (SELECT FROM {} AS s WHERE {})").format(
        leaving, stage, compile.same(key, key, "t", "s")
    )
    transfer.target.execute(upserts.remember_removed(transfer, table, gone))


def _orphans(work: Work, table: Table) -> None:
    transfer = work.flow.transfer
    stage, _ = names_of(table)
    for key in transfer.info(table).foreign_keys:
        itself = key.parent == table.target
        # Rows of the batch may refer to each other, which the server looks at when all are written; unless it is silent.
        if all(table.column(c) for c in key.columns) and (not itself or table.target in work.flow.silenced):
            _leaving(work, table, key)
            orphan = compile.orphan(key.columns, transfer.target_table(key.parent), key.parent_columns)
            if itself:
                orphan = SQL("{} AND {}").format(orphan, compile.orphan(key.columns, stage, key.parent_columns))
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


def _touch(work: Work) -> None:
    """Note the keys for continuous verification."""
    transfer = work.flow.transfer
    for name in work.keys:
        keys = names_of(transfer.plan.siblings(name)[0])[1]
        touch = queries("continuous")["touch"].format(run=Literal(transfer.run), source=Literal(name), keys=keys)
        transfer.target.execute(touch)
