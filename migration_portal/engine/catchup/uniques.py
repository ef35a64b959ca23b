"""Unique values in a transaction of catch-up: rows that swap theirs, and rows that hold what others want."""

from __future__ import annotations

import re

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import capture_queue, source, triggers
from migration_portal.engine.catchup.work import (
    Widen,
    Work,
    at_home_in_target,
    key_of,
    names_of,
    owned_by,
    query,
)
from migration_portal.engine.references import referring, unreferenced_by
from migration_portal.engine.source import Key
from migration_portal.plan import compile, uniques
from migration_portal.plan.model import ColumnInfo, Table, Unique

_TEXTS = ("text", "character varying", "character", "bpchar", "citext")
_LETTERS = "translate(gen_random_uuid()::text, '0123456789-', 'ghijklmnop')"
"""Small ones alone, which many a rule lets pass."""
_NOBODYS = {
    "uuid": "gen_random_uuid()",
    "smallint": "(16384 + floor(16383 * random()))::smallint",
    "integer": "(1073741824 + floor(1073741823 * random()))::integer",
    "bigint": "(4611686018427387904 + floor(4611686018427386000 * random()))::bigint",
}
"""By type, from where few have any."""


def wants_new_values(work: Work, table: Table, unique: Unique) -> bool:
    """Whether a staged row is new or changes what must differ: only then can it collide."""
    transfer = work.flow.transfer
    key = key_of(work, table)
    row = transfer.target.execute(
        query(
            "new_values", stage=names_of(table)[0],
            target=uniques.searched(unique, transfer.target_table(table.target)),
            same_key=compile.same(key, key, "t", "s"), same=uniques.collide(unique, "t", "s"),
        )
    ).fetchone()  # fmt: skip
    return bool(row and row[0])


def free(work: Work, table: Table, unique: Unique, name: str) -> None:
    """Make the staged rows' unique values free for them, or take the rows out as collided."""
    transfer = work.flow.transfer
    stage, keys = names_of(table)
    key = key_of(work, table)
    parts: dict[str, Composable] = {
        "stage": stage, "keys": keys, "target": uniques.searched(unique, transfer.target_table(table.target)),
        "columns": uniques.listed(unique), "set": uniques.counts(unique),
        "same": uniques.collide(unique, "t", "s"), "same_key": compile.same(key, key, "t", "s"),
        "owned": owned_by(work, table),
    }  # fmt: skip
    reason = uniques.reason(unique)
    twice = transfer.target.execute(query("twice", **parts)).fetchall()
    work.collide(table, [row[0] for row in twice], reason, name)
    holders = [
        row[0]
        for row in transfer.target.execute(query("holders", key=compile.target_key(key, "t"), **parts)).fetchall()
    ]
    if holders and work.widen:
        inside = set(work.keys[table.source])
        new = [key for key in _changed(work, table, holders) if key not in inside]
        if new:
            raise Widen({table.source: new})
    if (parked := _parked(work, table, unique)) is not None:
        _let_go(work, table, parts, parked, unique, name)
    taken = transfer.target.execute(query("taken", **parts)).fetchall()
    work.collide(table, [row[0] for row in taken], reason, name)


def _let_go(
    work: Work,
    table: Table,
    parts: dict[str, Composable],
    parked: tuple[Composable, Composable],
    unique: Unique,
    name: str,
) -> None:
    """Rows that get another value let go of theirs; not those that stay as they are, nor whoever wants what those keep.

    Nor those that go, while others refer to them by what they would let go of: they may have to stay.
    """
    target, key = work.flow.transfer.target, compile.target_key(key_of(work, table), "t")
    staying = source.array_of_keys(work.staying.values.get(table.target, ()))
    changes = SQL("EXISTS (SELECT FROM {} AS s WHERE {})").format(parts["stage"], parts["same_key"])
    goes_freely = unreferenced_by(work.flow.transfer, table, unique.compared)
    while True:  # from the end of a chain to its beginning
        owned = SQL(
            "{} AND NOT (k.portal_source_key::text = ANY({})) AND {} AND NOT ({}::text = ANY({})) AND ({} OR (true{}))"
        ).format(
            parts["owned"], work.protect(table), at_home_in_target(work, table), key, staying, changes, goes_freely
        )  # fmt: skip
        kept = target.execute(query("kept_by_another", **(parts | {"owned": owned}))).fetchall()
        if not kept:
            break
        work.collide(table, [row[0] for row in kept], uniques.reason(unique), name)
    changed = parts | {
        "target": work.flow.transfer.target_table(table.target), "column": parked[0], "parked": parked[1], "owned": owned,
        "same": uniques.collide(unique, "t", "s", in_searched=False), "key": key,
    }  # fmt: skip
    try:
        with target.transaction(), triggers.silent(target, table.target in work.flow.silenced):
            gone = target.execute(query("park", **changed)).fetchall()
    except (psycopg.IntegrityError, psycopg.DataError):
        return  # a rule of the column's lets no such value pass: who wants what another has waits
    work.parked.setdefault(table.target, set()).update(tuple(row[0]) for row in gone)


def _changed(work: Work, table: Table, holders: list[list[str]]) -> list[Key]:
    """The source keys of target rows that may have changed in the source.

    A row that is gone from there, or has another key by now, waits in the queue as a rule; only what
    does not is looked for in the source, which may mean a pass over the whole table.
    """
    keys = [tuple(holder) for holder in holders]
    waiting = capture_queue.waiting(work.flow.queue, table.source, keys, whole=False)
    others = [key for key in keys if key not in waiting]
    return [*waiting] + [tuple(own) for own, _, _ in source.by_target_key(work.flow.transfer, table, others)]


def _parked(work: Work, table: Table, unique: Unique) -> tuple[Composable, Composable] | None:
    """A column to let go of, and what to put there for a moment; None where nothing fits.

    Nothing, where nobody refers to the row by it: who does follows to another value, and from nothing to none.
    """
    transfer = work.flow.transfer
    infos, followed = transfer.info(table).columns, {
        name for each in referring(transfer, table) for name in each.parent_columns
    }  # fmt: skip
    referring_columns = {name for key in transfer.info(table).foreign_keys for name in key.columns}
    written = {column.name for column in table.columns if not column.default}
    columns = [name for name in unique.compared if name in written]
    another = [
        (Identifier(name), compile.raw(value))
        for name in columns
        if name not in {*key_of(work, table), *referring_columns} and (value := _nobodys(infos[name]))
    ]
    nothing = [(Identifier(name), SQL("NULL")) for name in columns if not infos[name].not_null and name not in followed]
    if unique.nulls_alike:
        nothing = []
    # An expression may make the same of every NULL.
    return next(iter(nothing + another if unique.plain else another + nothing), None)


def _nobodys(info: ColumnInfo) -> str:
    """SQL of a value that nobody has; empty where the type has none that is made so."""
    if info.type in _TEXTS:
        length = re.search(r"\((\d+)\)", info.full_type)
        return f"left({_LETTERS}, {length[1]})" if length else _LETTERS
    return _NOBODYS.get(info.type, "")
