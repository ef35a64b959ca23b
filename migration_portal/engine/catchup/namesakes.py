"""Rows that one side tells apart and the other takes for one.

Forward, where a uuid that legacy keeps as text is written in two ways, or two words lead to one row: one arrives, the other is kept
back. On the way back, where legacy's key or the reverse section takes them for one: legacy's row is that one's which it would be in
the IAM; another waits, and does not take that row along when it goes.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import quarantine, source
from migration_portal.engine.catchup.work import Work, key_of, names_of, owned_by, query
from migration_portal.plan import compile
from migration_portal.plan.model import Table


def keep_back(work: Work, table: Table) -> None:
    """Before the batch is written: leave out what would take another's row and, of several that would be one, all but one."""
    if work.flow.direction == "reverse" or (not table.one_of_many and source.in_two_ways(work.flow.transfer, table)):
        _keep_back_namesakes(work, table)
    if work.flow.direction == "forward":
        _keep_back_of_twins(work, table)


def _keep_back_namesakes(work: Work, table: Table) -> None:
    transfer, key, (stage, keys) = work.flow.transfer, key_of(work, table), names_of(table)
    if work.flow.direction == "reverse" and (holder := _holder(work, table)):
        same, target = compile.same(key, key, "t", "s"), transfer.target_table(table.target)
        held = query("held_by_another", stage=stage, target=target, same=same, holder=holder)
        gone = query("gone_is_anothers", keys=keys, target=target, owned=owned_by(work, table), holder=holder)
        staged, leaving = (transfer.target.execute(each).fetchall() for each in (held, gone))
        there = source.there(transfer, table, [other for _, other in staged + leaving])
        for row, other in staged:
            if tuple(other) in there:
                _leave_out(work, table, tuple(row), _same_as(table, other))
        for row, other in leaving:
            if tuple(other) in there:
                work.protected.setdefault(table.source, set()).add(tuple(row))
    kept = quarantine.twins(transfer, table) if work.flow.direction == "forward" else []
    twice = query("staged_twice", stage=stage, same=compile.same(key, key, "o", "s"), kept=source.array_of_keys(kept))
    for row, other in transfer.target.execute(twice).fetchall():
        _leave_out(work, table, tuple(row), _same_as(table, other))


def _same_as(table: Table, other: list[str]) -> str:
    return f"In {table.target} it would be the same row as {', '.join(other)}."


def _keep_back_of_twins(work: Work, table: Table) -> None:
    """What refers to a row that was kept back would be its namesake's."""
    transfer = work.flow.transfer
    for key in transfer.info(table).foreign_keys:
        for own in {tuple(own) for own in quarantine.doubles(transfer, table, key)} & set(work.keys[table.source]):
            _leave_out(
                work, table, own, f"What it refers to in {key.parent} was kept back: here it would be another's."
            )


def _leave_out(work: Work, table: Table, key: tuple[str, ...], detail: str) -> None:
    transfer = work.flow.transfer
    if work.flow.direction == "reverse":
        work.collide(table, [key], quarantine.TWIN, detail)
    siblings = transfer.plan.siblings(table.source)
    for each in siblings[siblings.index(table) :]:  # what else is made of it would become that row's
        left_out = query("left_out", stage=names_of(each)[0], key=SQL("{}::text[]").format(list(key)))
        if transfer.target.execute(left_out).rowcount and work.flow.direction == "forward":
            rejected = quarantine.rejections(transfer, each, [list(key)], quarantine.TWIN, detail)
            work.merged.rejected += quarantine.add(transfer, each, rejected)


def _holder(work: Work, table: Table) -> Composable | None:
    """The key that legacy's row `t` has in the IAM, as text[]; None where the plan makes it of more than the row."""
    if table.read or table.forward is None:
        return None
    back = {column.name: column.sql for column in table.forward.columns if not column.default}
    if not set(table.key) <= back.keys():
        return None
    types = work.flow.transfer.source_catalog[table.source].columns
    values = SQL(", ").join(
        SQL("({})::{}::text").format(compile.raw(back[name]), compile.raw(types[name].sent_as)) for name in table.key
    )
    return SQL("(SELECT ARRAY[{}]::text[] FROM (SELECT t.*) AS {} WHERE NOT {})").format(
        values, Identifier(table.target), compile.rejected(table.forward)
    )
