"""The half of a transaction of catch-up that removes: what the source has no more goes from the target, and takes nobody along."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import capabilities, source, triggers
from migration_portal.engine.catchup.work import Work, at_home_in_target, key_of, names_of, owned_by, query
from migration_portal.engine.errors import describe
from migration_portal.engine.queries import queries
from migration_portal.engine.references import Of, changing_nobody, refers_to_itself, taking_nobody_along, unreferenced
from migration_portal.engine.source import Key
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Table

REFERRED_TO = "Rows that refer to it would go or change with it (ON DELETE), or a trigger there keeps it."
"""Why a row that the source has no more stays."""


def remove(work: Work, table: Table, only: Composable | None = None) -> list[Key]:
    """`only`: of the keys `k` of the batch, those whose rows go. Returns the source keys of those that went."""
    transfer = work.flow.transfer
    stage, keys = names_of(table)
    key = key_of(work, table)
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    if table.target in work.complete and len(owner) == len(key):
        return []
    mine, owned = writable(work, table), owned_by(work, table)
    if only is not None:
        mine = SQL("{} AND {}").format(mine, only)
    target = transfer.target_table(table.target)
    silent = table.target in work.flow.silenced_deletes
    if only is None and work.homes_differ and work.first(table):
        _note_deleted_elsewhere(work, table, mine=mine, owned=owned)
    parts: dict[str, Composable] = {
        "target": target, "keys": keys, "stage": stage, "owned": owned, "mine": mine,
        "same": compile.same(key, key, "t", "s"), "protected": work.protect(table),
    }  # fmt: skip
    if work.flow.direction == "forward":
        capabilities.clear(transfer, table, query("leaves", **parts))
    if only is None:
        spared = _spared_together(work, table, parts) if refers_to_itself(transfer, table) else sparing(work, table)
    else:
        spared = SQL("{}{}").format(
            taking_nobody_along(transfer, table), unreferenced(transfer, table) if silent else SQL("")
        )
    why = REFERRED_TO
    try:
        with transfer.target.transaction():
            free = parts | {"mine": SQL("({}){}").format(mine, spared)}
            with triggers.silent(transfer.target, silent):
                gone = _delete(work, free)
        if only is None and spared == SQL("") and table.target not in work.flow.silenced:
            return gone
    except psycopg.errors.ForeignKeyViolation as error:
        # What refers to a row may be on its way to another: the row waits for that, and the rest of the batch need not.
        free = parts | {"mine": SQL("({}){}").format(mine, unreferenced(transfer, table))}
        gone = _delete(work, free)
        why = str(describe(error))
    left = transfer.target.execute(query("left", **parts)).fetchall()
    work.collide(table, [row[0] for row in left], "still_referenced", why)
    return gone


def _delete(work: Work, parts: dict[str, Composable]) -> list[Key]:
    gone = work.flow.transfer.target.execute(query("delete", **parts)).fetchall()
    work.merged.removed += len(gone)
    return [tuple(row[0]) for row in gone]


def sparing(work: Work, table: Table, going: Of | None = None) -> Composable:
    """A condition on `t`: nothing that nobody captures goes, or changes, along with it; rows of its table that are `going` may."""
    transfer = work.flow.transfer
    spared = changing_nobody(transfer, table, _of_others(work, table), going)
    if table.target in work.flow.silenced_deletes:  # foreign keys are silent with the other triggers
        spared = SQL("{}{}").format(spared, unreferenced(transfer, table, going))
    return spared


def _spared_together(work: Work, table: Table, parts: dict[str, Composable]) -> Composable:
    """The same for rows of the batch that refer to each other: those go together whom nothing else keeps, nor one that it keeps."""
    transfer, (_, keys) = work.flow.transfer, names_of(table)
    going = {tuple(row[0]) for row in transfer.target.execute(query("left", **parts)).fetchall()}
    while True:
        of_them = SQL("k.portal_source_key::text = ANY({})").format(source.array_of_keys(going))

        def goes(alias: str, of_them: Composable = of_them) -> Composable:
            names = [each.name for each in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]
            same = compile.same(names, names, alias, "k")
            return SQL("EXISTS (SELECT FROM {} AS k WHERE {} AND {})").format(keys, same, of_them)

        spared = sparing(work, table, goes)
        kept = parts | {"mine": SQL("{} AND {} AND NOT (true{})").format(parts["mine"], of_them, spared)}
        staying = {tuple(row[0]) for row in transfer.target.execute(query("left", **kept)).fetchall()}
        if not staying:
            return SQL(" AND {}{}").format(of_them, spared)
        going -= staying


def _of_others(work: Work, table: Table) -> dict[str, Of]:
    """Of each table of the plan, the rows that must not change along with a row of `table` which goes.

    But for what goes itself with this batch; on the way back also for what belongs to a row of legacy's in tables that it is read
    with, and for what was discarded from quarantine.
    """
    plan = work.flow.transfer.plan
    names, links, forward = [each.target for each in plan.tables], {}, {}
    if work.flow.direction == "reverse" and table.forward is not None:
        names, own = list(plan.captured), table.read.link if table.read else table.forward.key
        links = {read.source: read.link for read in table.forward.reads}
        forward = {each.forward.source: each.forward for each in plan.tables if each.forward}

    def of_others(name: str) -> Of:
        def condition(alias: str) -> Composable:
            # Where a whole table is looked at, nobody has listed which of the others' rows go.
            others = [
                each for each in work.tables if each.target == name and each is not table and work.keys[each.source]
            ]
            may_go = [_goes_itself(work, each, alias) for each in others]
            may_go += [compile.same(links[name], own, alias, "t")] if name in links else []
            may_go += [_discarded(work, forward[name], alias)] if name in forward else []
            return SQL("({}) IS NOT TRUE").format(source.any_of(may_go))

        return condition

    return {name: of_others(name) for name in names}


def _goes_itself(work: Work, table: Table, alias: str) -> Composable:
    """The source has the row no more, and it was not found to stay: see `Staying`."""
    transfer, key, (stage, keys) = work.flow.transfer, key_of(work, table), names_of(table)
    work.counted_on.add(table.target)
    owner = [each.name for each in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]
    return query(
        "goes_itself", keys=keys, stage=stage, owned=compile.same(owner, owner, alias, "k"), protected=work.protect(table),
        same=compile.same(key, key, alias, "s"), key=compile.target_key(key, alias),
        staying=source.array_of_keys(work.staying.rows.get(table.target, ())),
    )  # fmt: skip


def _discarded(work: Work, table: Table, alias: str) -> Composable:
    """Rows of legacy's that are never to arrive: somebody has decided that."""
    about = {"run": work.flow.transfer.run, "table": table.target, "parts": len(table.key)}
    keys = [row[0] for row in work.flow.ledger.execute(queries("quarantine")["discarded"], about)]
    return source.keys_in([SQL("{}.{}").format(Identifier(alias), Identifier(name)) for name in table.key], keys)


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
