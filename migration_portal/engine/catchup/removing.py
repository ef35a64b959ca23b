"""The half of a transaction of catch-up that removes: what the source has no more goes from the target, and takes nobody along."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import capabilities, source, triggers
from migration_portal.engine.catchup.work import Work, at_home_in_target, key_of, names_of, owned_by, query
from migration_portal.engine.errors import describe
from migration_portal.engine.references import changing_nobody, taking_nobody_along, unreferenced
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Table


def remove(work: Work, table: Table, only: Composable | None = None) -> None:
    """`only`: of the keys `k` of the batch, those whose rows go."""
    transfer = work.flow.transfer
    stage, keys = names_of(table)
    key = key_of(work, table)
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    if table.target in work.complete and len(owner) == len(key):
        return
    mine, owned = writable(work, table), owned_by(work, table)
    target = transfer.target_table(table.target)
    silent = table.target in work.flow.silenced_deletes
    if only is not None:
        mine, spared = SQL("{} AND {}").format(mine, only), taking_nobody_along(transfer, table)
    else:
        spared = changing_nobody(transfer, table, _of_others(work, table))
    if silent:  # foreign keys are silent with the other triggers
        spared = SQL("{}{}").format(spared, unreferenced(transfer, table))
    if only is None and work.homes_differ and work.first(table):
        _note_deleted_elsewhere(work, table, mine=mine, owned=owned)
    parts: dict[str, Composable] = {
        "target": target, "keys": keys, "stage": stage, "owned": owned, "mine": mine,
        "same": compile.same(key, key, "t", "s"), "protected": work.protect(table),
    }  # fmt: skip
    if work.flow.direction == "forward":
        capabilities.clear(transfer, table, query("leaves", **parts))
    why = "Rows that refer to it would go or change with it (ON DELETE), or a trigger there keeps it."
    try:
        with transfer.target.transaction():
            free = parts | {"mine": SQL("({}){}").format(mine, spared)}
            with triggers.silent(transfer.target, silent):
                work.merged.removed += transfer.target.execute(query("delete", **free)).rowcount
        if only is None and spared == SQL("") and table.target not in work.flow.silenced:
            return
    except psycopg.errors.ForeignKeyViolation as error:
        # What refers to a row may be on its way to another: the row waits for that, and the rest of the batch need not.
        free = parts | {"mine": SQL("({}){}").format(mine, unreferenced(transfer, table))}
        work.merged.removed += transfer.target.execute(query("delete", **free)).rowcount
        why = str(describe(error))
    left = transfer.target.execute(query("left", **parts)).fetchall()
    work.collide(table, [row[0] for row in left], "still_referenced", why)


def _of_others(work: Work, table: Table) -> dict[str, Callable[[str], Composable]]:
    """Of each table of the plan, the rows that must not change along with a row of `table` which goes: what nobody captures.

    In legacy all of them, but for what belongs to the row in tables that it is read with; in the IAM those that live there.
    """
    flow, transfer = work.flow, work.flow.transfer
    if flow.direction == "reverse":
        own = {read.source for read in table.forward.reads} if table.forward else set()
        return dict.fromkeys(set(transfer.plan.captured) - own, lambda alias: SQL("true"))
    if not work.homes_differ:
        return {}
    schema = Identifier(transfer.schema)

    def living_here(each: Table) -> Callable[[str], Composable]:
        def there(alias: str) -> Composable:
            whose = belonging.target_tenant(transfer.plan, each, transfer.target_catalog, schema, alias)
            return SQL("NOT {}").format(belonging.at_home(whose, work.homes, by_default=flow.by_default))

        return there

    return {each.target: living_here(each) for each in transfer.plan.tables}


def _note_deleted_elsewhere(work: Work, table: Table, *, mine: Composable, owned: Composable) -> None:
    """Rows that are gone from a source that does not own them, and still live in the target, are strays."""
    transfer, (stage, keys) = work.flow.transfer, names_of(table)
    schema = Identifier(transfer.schema)
    staged = transfer.target.execute(SQL("SELECT portal_source_key FROM {}").format(stage))
    present = {tuple(row[0]) for row in staged} | work.protected.get(table.source, set())
    gone = query(
        "gone_elsewhere", target=transfer.target_table(table.target), keys=keys, owned=owned, mine=mine,
        tenant=belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t"),
        present=source.array_of_keys(present),
    )  # fmt: skip
    for key, tenant in transfer.target.execute(gone).fetchall():
        work.stray(table.source, key, tenant, "deleted")


def writable(work: Work, table: Table) -> Composable:
    """Target rows that the source may change: of tenants at home there; where only part of the key is known, rows we wrote."""
    flow, transfer = work.flow, work.flow.transfer
    mine = at_home_in_target(work, table)
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    if len(owner) < len(key_of(work, table)) and flow.direction == "forward":
        written = query("written_by_us", target_name=Literal(table.target))
        mine = SQL("{} AND ({} OR {})").format(mine, written, _parent_goes(work, table))
    return mine


def _parent_goes(work: Work, table: Table) -> Composable:
    """The row's parent, of the same source row, is removed by this batch: then it goes with it, even if we did not write it."""
    transfer = work.flow.transfer
    through = belonging.through_first(transfer.plan, table, transfer.target_catalog)
    if through is None:
        return SQL("false")
    parent, key = through
    joined = compile.same(key.parent_columns, key.columns, "p", "t")
    return SQL("NOT EXISTS (SELECT FROM {} AS p WHERE {})").format(names_of(parent)[0], joined)
