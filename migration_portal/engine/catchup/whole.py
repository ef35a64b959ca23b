"""A whole table at once, where nobody knows which keys changed: what the source lost, and what was written astray."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import capabilities, ledger, source, triggers, upserts
from migration_portal.engine.catchup import lookup
from migration_portal.engine.catchup.flow import Entry, Flow
from migration_portal.engine.catchup.merging import alone, remember, respell
from migration_portal.engine.catchup.removing import REFERRED_TO, sparing, writable
from migration_portal.engine.catchup.work import Merged, Work, at_home_in_target, key_of, names_of, query
from migration_portal.engine.errors import describe
from migration_portal.engine.queries import queries
from migration_portal.engine.references import unreferenced
from migration_portal.engine.source import Key
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Table


def empty(flow: Flow, name: str, entry: Entry) -> Merged:
    """A whole table, as after a TRUNCATE: remove what the source has no row for, and list what was written astray."""
    work = Work(flow, {name: []}, any_home=False, widen=False)
    transfer = flow.transfer
    with alone(work):
        with transfer.source.transaction():
            for table in work.tables:
                lookup.stage_all(work, table)
            if flow.direction == "reverse":
                lookup.settle_tables(work)
        for table in work.tables:
            if flow.direction == "reverse":
                respell(work, table, keys=False)
            if work.homes_differ and work.first(table):
                _note_whole(work, table, entry)
        for table in reversed(work.tables):
            _empty(work, table)
            if flow.direction == "forward":
                ledger.record_commit(transfer.target, transfer.run, table.target)
                capabilities.follow(transfer, table, None, work.homes)
    return work.merged


def _empty(work: Work, table: Table) -> None:
    transfer, key = work.flow.transfer, key_of(work, table)
    may = writable(work, table)
    if work.flow.direction == "forward" and (
        table.one_of_many or ledger.modes(transfer.target, transfer.run).get(table.target) == "upsert"
    ):
        # What was there before the run, and which nobody has named by its key, may never have been legacy's.
        written = query("written_by_us", target_name=Literal(table.target))
        may = SQL("{} AND ({} OR {})").format(may, written, upserts.was_there(transfer, table))
    if undecided := _undecided(work, table):
        may = SQL("{} AND NOT {}").format(may, undecided)
    may = SQL("{} AND NOT {}").format(may, _never_mirrored(work, table))
    if table.read and table.forward and table.forward.view:
        shown = transfer.target_table(table.forward.source)
        linked = compile.same(table.forward.key, table.read.link, "shown", "t")
        may = SQL("{} AND EXISTS (SELECT FROM {} AS shown WHERE {})").format(may, shown, linked)
    remember(work, table, may)
    parts: dict[str, Composable] = {
        "target": transfer.target_table(table.target), "stage": names_of(table)[0], "mine": may,
        "same": compile.same(key, key, "t", "s"),
    }  # fmt: skip
    if work.flow.direction == "forward":
        capabilities.clear(transfer, table, query("unstaged", **parts))
    spared, why = sparing(work, table), REFERRED_TO
    try:
        with (
            transfer.target.transaction(),
            triggers.silent(transfer.target, table.target in work.flow.silenced_deletes),
        ):
            free = parts | {"mine": SQL("({}){}").format(may, spared)}
            work.merged.removed += transfer.target.execute(query("emptied", **free)).rowcount
    except psycopg.errors.ForeignKeyViolation as error:
        why = str(describe(error))
        free = parts | {"mine": SQL("({}){}").format(may, unreferenced(transfer, table))}
        work.merged.removed += transfer.target.execute(query("emptied", **free)).rowcount
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    names = compile.target_key([column.name for column in owner], "t")
    left = transfer.target.execute(query("emptied_left", key=names, **parts)).fetchall()
    work.collide(table, [row[0] for row in left], "still_referenced", why)


def _undecided(work: Work, table: Table) -> Composable | None:
    """True for target rows that must stay: what legacy deleted astray may be there alone until somebody decides; what waits."""
    transfer = work.flow.transfer
    keys = [list(key) for key in work.merged.collided.get(table.source, ())]
    if work.flow.direction == "forward":
        about = {"run": transfer.run, "direction": work.flow.direction, "table": table.source}
        keys += [row[0] for row in work.flow.ledger.execute(queries("catchup")["open_strays"], about).fetchall()]
    if not keys:
        return None
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    with transfer.source.transaction():
        targets = [target for target, _ in source.in_target(transfer, table, keys)]
    parts = source.parted([column.name for column in owner], targets)
    return source.any_of(
        source.keys_in([SQL("t.{}").format(Identifier(name)) for name in names], said) for names, said in parts.items()
    )


def _note_whole(work: Work, table: Table, entry: Entry) -> None:
    """Rows of tenants that have left which the source changed or added all the same, and rows of whoever lives on the other
    side that it lost; not what waits to be brought there, or never was there.
    """
    transfer, key = work.flow.transfer, key_of(work, table)
    schema = Identifier(transfer.schema)
    parts: dict[str, Composable] = {
        "target": transfer.target_table(table.target), "stage": names_of(table)[0], "mine": at_home_in_target(work, table),
        "tenant": belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "t"),
        "same": compile.same(key, key, "t", "s"), "differs": upserts.differs(transfer, table, "t", "s"),
        "coming": query("coming", table=Literal(table.known_as), key=compile.target_key(key, "k")) if _captures(work)
        else SQL("false"),
    }  # fmt: skip
    owner = [column.name for column in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]
    names = compile.target_key(owner, "t")
    lost = directions.source_key(table, "t") or names
    gone = transfer.target.execute(query("emptied_elsewhere", key=lost, target_key=names, **parts)).fetchall()
    never = _kept_back(work, table)
    left = [(key or there, tenant) for key, tenant, there in gone if tuple(there) not in never]
    _list_whole(work, table, entry, "deleted", left, whoever=True)
    changed = transfer.target.execute(query("changed_elsewhere", **parts)).fetchall()
    _list_whole(work, table, entry, "written", changed)
    if table.source_tenant or table.through:
        own = belonging.target_tenant(transfer.plan, table, transfer.target_catalog, schema, "s")
        at_home = belonging.at_home(own, work.homes, by_default=work.flow.by_default)
        added = query("added_elsewhere", at_home=at_home, own=own, **parts)
        _list_whole(work, table, entry, "written", transfer.target.execute(added).fetchall())


def _never_mirrored(work: Work, table: Table) -> Composable:
    """True for target rows that the source never had, so that it cannot have lost them: kept back, written astray and undecided,
    or on their way to it; and, in legacy, for what belongs to such a row in a table that the plan reads.
    """
    transfer = work.flow.transfer
    name, names, direction = table.target, transfer.info(table).primary_key, "reverse"
    if table.forward:
        direction, name = "forward", table.forward.source
        names = table.read.link if table.read else table.forward.key
    about = {"run": transfer.run, "direction": direction, "table": name}
    strays = {tuple(row[0]) for row in work.flow.ledger.execute(queries("catchup")["open_strays"], about)}
    kept = source.keys_in([SQL("t.{}").format(Identifier(each)) for each in names], [*_kept_back(work, table) | strays])
    if not _captures(work):
        return kept
    coming = query("coming_itself", table=Literal(name), key=compile.target_key(names, "t"))
    return SQL("({} OR {})").format(kept, coming)


def _captures(work: Work) -> bool:
    """Whether what is written in the target is captured there."""
    row = work.flow.transfer.target.execute("SELECT to_regclass('portal_capture.queue') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _kept_back(work: Work, table: Table) -> set[Key]:
    """Of a table of legacy's, the keys of the rows in quarantine."""
    if table.forward is None:
        return set()
    about = {"run": work.flow.transfer.run, "source": table.forward.source}
    return {tuple(row[0]) for row in work.flow.ledger.execute(queries("catchup")["quarantined"], about)}


def _list_whole(work: Work, table: Table, entry: Entry, what: str, rows: list[Any], *, whoever: bool = False) -> None:
    for source_key, tenant in rows:
        if whoever or tenant in work.left:
            work.entries = {(table.source, tuple(source_key)): [entry]}
            work.stray(table.source, source_key, tenant, what)
