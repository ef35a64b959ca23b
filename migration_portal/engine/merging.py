"""One transaction of catch-up: stage what the source has for some keys, then write, change and remove target rows.

Parents are written before children and children removed before parents. Rows that swap a unique
value let go of it first; a value held by a row outside the batch widens the batch by that row,
because one snapshot of the source cannot hold it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger, quarantine, source, staging
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.queries import queries
from migration_portal.engine.reading import pipe
from migration_portal.engine.sides import Sides
from migration_portal.plan import compile, directions
from migration_portal.plan.checks import words
from migration_portal.plan.model import ForeignKey, Rule, Table

if TYPE_CHECKING:
    from migration_portal.engine.catchup import Flow

Key = tuple[str, ...]
Collision = tuple[str, str, str]
"""Target table, reason, detail."""
_LOCK_CLASS = 0x5169


class Widen(Exception):
    """The batch needs these source keys, too."""

    def __init__(self, keys: dict[str, list[Key]]) -> None:
        self.keys = keys


@dataclass
class Merged:
    """What a transaction did; `collided` maps a source table's keys to why they could not be written."""

    written: int = 0
    removed: int = 0
    rejected: int = 0
    strays: int = 0
    collided: dict[str, dict[Key, Collision]] = field(default_factory=dict)


@dataclass
class _Work:
    """A transaction at work: the flow, the keys by source table, keys whose target rows must stay, and the outcome."""

    flow: Flow
    keys: dict[str, list[Key]]
    whoever: bool
    widen: bool
    guarded: bool = True
    complete: set[str] = field(default_factory=set)
    """Target tables for which the source had a row for every key."""
    homes: frozenset[str] = frozenset()
    spared: dict[str, set[Key]] = field(default_factory=dict)
    merged: Merged = field(default_factory=Merged)

    @property
    def tables(self) -> list[Table]:
        return [table for table in self.flow.sides.plan.tables if table.source in self.keys]

    def collide(self, table: Table, keys: Iterable[Sequence[str]], reason: str, detail: str = "") -> None:
        for key in keys:
            # The first reason is the cause; what a row's children meet follows from it.
            self.merged.collided.setdefault(table.source, {}).setdefault(tuple(key), (table.target, reason, detail))
            self.spared.setdefault(table.source, set()).add(tuple(key))

    def spare(self, table: Table) -> Composable:
        return SQL("{}").format(source.array_of_keys(self.spared.get(table.source, set())))


def lock_of(direction: str) -> dict[str, Composable]:
    return {"lock_class": Literal(_LOCK_CLASS), "number": Literal(1 if direction == "forward" else 2)}


def merge(
    flow: Flow, keys: dict[str, list[Key]], *, whoever: bool = False, widen: bool = True, guarded: bool = True
) -> Merged:
    """Make the target agree about these keys, in one transaction. Raises Widen or psycopg.Error; then nothing has changed.

    Not `guarded`, one row that cannot be cast fails the whole batch, which is otherwise a third faster.
    """
    work = _Work(flow, keys, whoever, widen, guarded)
    sides = flow.sides
    with sides.iam.transaction():
        sides.iam.execute(_query("lock", **lock_of(flow.name)))
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes = flow.homes()
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


def _query(name: str, **parts: Composable) -> Any:
    return queries("catchup")[name].format(**parts)


# --- reading ------------------------------------------------------------------------------


def _where(table: Table, keys: Sequence[Key]) -> Composable:
    return source.by_source_key(table, keys)


def _at_home(work: _Work, name: str) -> Composable:
    tenant = directions.tenant_of_source_row(work.flow.sides.plan, name)
    return directions.at_home(tenant, work.homes, by_default=work.flow.by_default)


def _exceptions(work: _Work, table: Table, keys: list[Key]) -> None:
    """Set rejected rows aside, and note those written on a side that does not own their tenant."""
    flow, sides, name = work.flow, work.flow.sides, table.source
    if table.reject:
        statement = SQL("SELECT {}, {}, row_to_json({})::text FROM {} WHERE ({}) AND {}").format(
            compile.source_key(table), compile.reject_reason(table), Identifier(name),
            compile.source_table(sides.plan, table), _where(table, keys), compile.rejected(table),
        )  # fmt: skip
        found = [Rejected(key, reason, row) for key, reason, row in sides.legacy.execute(statement).fetchall()]
        work.merged.rejected += quarantine.set_aside(sides, table, found)
    first = directions.siblings(sides.plan, name)[0]
    if work.whoever or table is not first or (flow.by_default and not work.homes):
        return
    statement = SQL("SELECT {}, {} FROM {} WHERE ({}) AND NOT {} AND NOT {}").format(
        compile.source_key(first), directions.tenant_of_source_row(sides.plan, name),
        compile.source_table(sides.plan, first), _where(first, keys), compile.rejected(first), _at_home(work, name),
    )  # fmt: skip
    for key, tenant in sides.legacy.execute(statement).fetchall():
        _stray(work, name, key, tenant, "written")


def _stray(work: _Work, name: str, key: Sequence[str], tenant: str | None, what: str) -> None:
    work.spared.setdefault(name, set()).add(tuple(key))
    work.merged.strays += 1
    about = {"run": work.flow.sides.run, "direction": work.flow.name, "table": name, "key": list(key)}
    work.flow.ledger.execute(queries("catchup")["stray"], about | {"tenant": tenant, "what": what})


def _names(table: Table) -> tuple[Identifier, Identifier]:
    return Identifier(f"portal_stage_{table.target}"[:63]), Identifier(f"portal_keys_{table.target}"[:63])


def _stage(work: _Work, table: Table) -> None:
    """The rows that the source has for the keys, and for each key what it would be in the target."""
    sides = work.flow.sides
    stage, keys = _names(table)
    info, owner = sides.info(table), directions.owner(table, sides.source, sides.target)
    columns = [SQL("{} {}").format(Identifier(c.name), compile.raw(info.columns[c.name].type)) for c in owner]
    sides.iam.execute(_query("stage", stage=stage, target=sides.target_table(table.target)))
    sides.iam.execute(_query("keys", keys=keys, columns=SQL(", ").join(columns)))
    wanted = work.keys[table.source]
    where = _where(table, wanted)
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
        sides.iam.execute(statement.format(keys, stage, names=_list(names)))
        return
    _exceptions(work, table, wanted)
    pipe(sides.legacy, pseudo(sides, table, wanted), sides.iam, keys, names)


def pseudo(sides: Sides, table: Table, wanted: Sequence[Key]) -> Any:
    """SELECT what these source keys are in the target (the owner's columns), and the source key last; the rows may be gone."""
    info, types = sides.info(table), sides.source[table.source].columns
    owner = directions.owner(table, sides.source, sides.target)
    count = range(len(table.key))
    return _query(
        "pseudo",
        owner=SQL(", ").join(
            SQL("({})::{}").format(compile.raw(c.sql), compile.raw(info.columns[c.name].type)) for c in owner
        ),
        values=SQL(", ").join(SQL("{}::text[]").format(Literal([key[n] for key in wanted])) for n in count),
        names=SQL(", ").join(Identifier(f"k{n}") for n in count),
        key=SQL("ARRAY[{}]").format(SQL(", ").join(SQL("keys.{}").format(Identifier(f"k{n}")) for n in count)),
        typed=SQL(", ").join(
            SQL("keys.{}::{} AS {}").format(Identifier(f"k{n}"), compile.raw(types[name].type), Identifier(name))
            for n, name in enumerate(table.key)
        ),
        alias=Identifier(table.source),
        rejected=_any(rule for rule in table.reject if set(words(rule.sql)) & set(types) <= set(table.key)),
    )


def _any(rules: Iterable[Rule]) -> Composable:
    parts = [SQL("({}) IS TRUE").format(compile.raw(rule.sql)) for rule in rules]
    return SQL("({})").format(SQL(" OR ").join(parts)) if parts else SQL("false")


# --- writing ------------------------------------------------------------------------------


def _owned(work: _Work, table: Table, left: LiteralString = "t") -> Composable:
    names = [c.name for c in directions.owner(table, work.flow.sides.source, work.flow.sides.target)]
    return compile.same(names, names, left, "k")


def _mine(work: _Work, table: Table) -> Composable:
    """Target rows that the source may change: of tenants at home there; where only part of the key is known, rows we wrote."""
    flow, sides = work.flow, work.flow.sides
    schema = Identifier(sides.schema)
    tenant = directions.target_tenant(sides.plan, table, sides.target, schema, "t")
    mine = (
        SQL("true") if work.whoever else directions.at_home(tenant, work.homes, by_default=flow.by_default)
    )  # fmt: skip
    owner = directions.owner(table, sides.source, sides.target)
    if len(owner) < len(_key(work, table)) and flow.name == "forward":
        written = SQL(
            "EXISTS (SELECT FROM portal_ledger.commits AS c WHERE c.xid = t.xmin AND c.table_name = {})"
        ).format(Literal(table.target))
        mine = SQL("{} AND ({} OR {})").format(mine, written, _parent_goes(work, table))
    return mine


def _parent_goes(work: _Work, table: Table) -> Composable:
    """The row's parent, of the same source row, is removed by this batch: then it goes with it, whoever wrote it."""
    sides = work.flow.sides
    found = directions.through_first(sides.plan, table, sides.target)
    if found is None:
        return SQL("false")
    parent, key = found
    joined = compile.same(key.parent_columns, key.columns, "p", "t")
    return SQL("NOT EXISTS (SELECT FROM {} AS p WHERE {})").format(_names(parent)[0], joined)


def _key(work: _Work, table: Table) -> tuple[str, ...]:
    return work.flow.sides.info(table).primary_key


def _write(work: _Work, table: Table) -> None:
    flow, sides = work.flow, work.flow.sides
    stage, _ = _names(table)
    if flow.settled:
        _orphans(work, table)
        for name, columns in sides.info(table).uniques.items():
            if all(table.column(c) for c in columns) and _wants_new_values(work, table, columns):
                _free(work, table, columns, name)
    if flow.name == "forward":
        if ledger.modes(sides.iam, sides.run).get(table.target) == "upsert":
            sides.iam.execute(staging.remember(sides, table, stage))
        ledger.record_commit(sides.iam, sides.run, table.target)
    key = _key(work, table)
    changed = staging.overwrites(sides, table)
    action: Composable = SQL("NOTHING")
    if changed:
        action = SQL("UPDATE SET {} WHERE {}").format(
            SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(name)) for name in changed),
            staging.differs(sides, table, "t", "excluded"),
        )
    work.merged.written += sides.iam.execute(
        _query(
            "upsert", target=sides.target_table(table.target), stage=stage, action=action,
            names=_list(table.column_names), key=_list(key),
        )
    ).rowcount  # fmt: skip
    _parents_arrived(work, table)


def _list(names: Iterable[str]) -> Composable:
    return SQL(", ").join(map(Identifier, names))


def _orphans(work: _Work, table: Table) -> None:
    sides = work.flow.sides
    stage, _ = _names(table)
    for key in sides.info(table).foreign_keys:
        if all(table.column(c) for c in key.columns) and key.parent != table.target:
            _leaving(work, table, key)
            orphan = staging.orphan_condition(key.columns, sides.target_table(key.parent), key.parent_columns)
            found = sides.iam.execute(_query("orphans", stage=stage, orphan=orphan)).fetchall()
            work.collide(table, [row[0] for row in found], f"missing_{key.parent}")


def _leaving(work: _Work, table: Table, key: ForeignKey) -> None:
    """Staged rows whose parent is about to be removed by this batch go with it, and are set aside."""
    sides = work.flow.sides
    parent = next((t for t in work.tables if t.target == key.parent), None)
    if parent is None or parent.target == table.target:
        return
    names = [c.name for c in directions.owner(parent, sides.source, sides.target)]
    pairs = dict(zip(key.parent_columns, key.columns, strict=True))
    if not set(names) <= set(pairs):
        return
    stage, (parent_stage, parent_keys) = _names(table)[0], _names(parent)
    leaving = _query(
        "leaving", stage=stage, parent_stage=parent_stage, parent_keys=parent_keys, spared=work.spare(parent),
        owned=compile.same([pairs[n] for n in names], names, "s", "k"),
        same=compile.same(key.columns, key.parent_columns, "s", "p"),
    )  # fmt: skip
    found = [row[0] for row in sides.iam.execute(leaving).fetchall()]
    if found and work.flow.name == "forward":
        rejected = staging.rejections(sides, table, found, f"missing_{key.parent}")
        work.merged.rejected += quarantine.set_aside(sides, table, rejected)


def _wants_new_values(work: _Work, table: Table, columns: tuple[str, ...]) -> bool:
    """Whether a staged row is new or changes these columns: only then can it collide."""
    sides = work.flow.sides
    key = _key(work, table)
    row = sides.iam.execute(
        _query(
            "new_values", stage=_names(table)[0], target=sides.target_table(table.target),
            same_key=compile.same(key, key, "t", "s"), same=compile.same(columns, columns, "t", "s"),
        )
    ).fetchone()  # fmt: skip
    return bool(row and row[0])


def _free(work: _Work, table: Table, columns: tuple[str, ...], name: str) -> None:
    """See to it that the staged rows can have their unique values."""
    sides = work.flow.sides
    stage, keys = _names(table)
    key = _key(work, table)
    parts: dict[str, Composable] = {
        "stage": stage, "keys": keys, "target": sides.target_table(table.target), "columns": _list(columns),
        "set": SQL(" AND ").join(SQL("{} IS NOT NULL").format(Identifier(c)) for c in columns),
        "same": compile.same(columns, columns, "t", "s"), "same_key": compile.same(key, key, "t", "s"),
        "owned": _owned(work, table),
    }  # fmt: skip
    reason = f"duplicate_{'_'.join(columns)}"
    found = sides.iam.execute(_query("twice", **parts)).fetchall()
    work.collide(table, [row[0] for row in found], reason, name)
    aliased = SQL("ARRAY[{}]::text[]").format(SQL(", ").join(SQL("t.{}::text").format(Identifier(c)) for c in key))
    holders = [row[0] for row in sides.iam.execute(_query("holders", key=aliased, **parts)).fetchall()]
    if holders and work.widen:
        known = source.by_target_key(sides, table, holders)
        new = [tuple(own) for own, _, _ in known if tuple(own) not in set(work.keys[table.source])]
        if new:
            raise Widen({table.source: new})
    parked = _parked(work, table, columns)
    if parked is not None:
        owned = SQL("{} AND NOT (k.portal_source_key::text = ANY({}))").format(parts["owned"], work.spare(table))
        sides.iam.execute(
            _query("park", **(parts | {"column": parked[0], "parked": parked[1], "owned": owned}))
        )  # fmt: skip
    found = sides.iam.execute(_query("taken", **parts)).fetchall()
    work.collide(table, [row[0] for row in found], reason, name)


def _parked(work: _Work, table: Table, columns: tuple[str, ...]) -> tuple[Composable, Composable] | None:
    """A column to let go of, and what to put there for a moment; None where nothing fits."""
    infos = work.flow.sides.info(table).columns
    for name in columns:
        if not infos[name].not_null:
            return Identifier(name), SQL("NULL")
    for name in columns:
        if infos[name].type in ("text", "character varying") and name not in _key(work, table):
            return Identifier(name), SQL("gen_random_uuid()::text")
    return None


def _remove(work: _Work, table: Table) -> None:
    sides = work.flow.sides
    stage, keys = _names(table)
    key = _key(work, table)
    mine, owned = _mine(work, table), _owned(work, table)
    target = sides.target_table(table.target)
    owner = directions.owner(table, sides.source, sides.target)
    if table.target in work.complete and len(owner) == len(key):
        return
    if (
        not work.whoever
        and (work.homes or not work.flow.by_default)
        and table is directions.siblings(sides.plan, table.source)[0]
    ):
        tenant = directions.target_tenant(sides.plan, table, sides.target, Identifier(sides.schema), "t")
        present = {tuple(row[0]) for row in sides.iam.execute(SQL("SELECT portal_source_key FROM {}").format(stage))}
        present |= work.spared.get(table.source, set())
        gone = _query(
            "gone_elsewhere", target=target, keys=keys, owned=owned, tenant=tenant, mine=mine,
            present=source.array_of_keys(present),
        )  # fmt: skip
        for found, whose in sides.iam.execute(gone).fetchall():
            _stray(work, table.source, found, whose, "deleted")
    work.merged.removed += sides.iam.execute(
        _query(
            "delete", target=target, keys=keys, stage=stage, owned=owned, mine=mine,
            same=compile.same(key, key, "t", "s"), spared=work.spare(table),
        )
    ).rowcount  # fmt: skip


def empty(flow: Flow, name: str) -> int:
    """After a TRUNCATE of the source table: remove what it has no row for. Returns rows removed."""
    work = _Work(flow, {name: []}, whoever=False, widen=False)
    sides = flow.sides
    removed = 0
    with sides.iam.transaction():
        sides.iam.execute(_query("lock", **lock_of(flow.name)))
        # Asked under the lock: a tenant that was moved while we waited is no longer ours to write.
        work.homes = flow.homes()
        with sides.legacy.transaction():
            for table in work.tables:
                stage, _ = _names(table)
                sides.iam.execute(_query("stage", stage=stage, target=sides.target_table(table.target)))
                select = compile.mapped(sides.plan, table, sides.info(table), where=_at_home(work, name))
                pipe(sides.legacy, select, sides.iam, stage, table.column_names)
        for table in reversed(work.tables):
            stage, _ = _names(table)
            key = _key(work, table)
            parts = {"target": sides.target_table(table.target), "stage": stage, "mine": _mine(work, table)}
            removed += sides.iam.execute(_query("emptied", same=compile.same(key, key, "t", "s"), **parts)).rowcount
            if flow.name == "forward":
                ledger.record_commit(sides.iam, sides.run, table.target)
    return removed


def _touch(work: _Work) -> None:
    """Note the keys for continuous verification."""
    sides = work.flow.sides
    for name in work.keys:
        keys = _names(directions.siblings(sides.plan, name)[0])[1]
        touch = queries("rechecking")["touch"].format(run=Literal(sides.run), source=Literal(name), keys=keys)
        sides.iam.execute(touch)


# --- quarantine ---------------------------------------------------------------------------


def _close_quarantine(work: _Work) -> None:
    """Rows that arrived after all, and rows that the source has no more, are settled."""
    sides = work.flow.sides
    for table in work.tables:
        stage, _ = _names(table)
        sides.iam.execute(_query("came", stage=stage), {"run": sides.run, "table": table.target})
        found = sides.iam.execute(
            "SELECT source_key FROM portal_ledger.quarantine WHERE run = %s AND table_name = %s AND state <> 'copied'",
            [sides.run, table.target],
        )
        waiting = {tuple(row[0]) for row in found} & set(work.keys[table.source])
        if waiting:
            with sides.legacy.transaction():
                statement = SQL("SELECT {} FROM {} WHERE {}").format(
                    compile.source_key(table), compile.source_table(sides.plan, table), _where(table, list(waiting))
                )
                there = {tuple(row[0]) for row in sides.legacy.execute(statement)}
            for key in waiting - there:
                about = {"run": sides.run, "source": table.source, "key": list(key)}
                sides.iam.execute(queries("catchup")["went"], about)


def _parents_arrived(work: _Work, table: Table) -> None:
    """Orphans in quarantine that waited for rows of this table are looked up again."""
    sides = work.flow.sides
    if work.flow.name != "forward":
        return
    stage, _ = _names(table)
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
