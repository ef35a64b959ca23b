"""The reading half of a transaction of catch-up: what the source has for the keys, what it rejects, and what is a stray."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import quarantine, single_out, source
from migration_portal.engine.catchup import groups
from migration_portal.engine.catchup.work import Widen, Work, listed, names_of, query
from migration_portal.engine.pipe import pipe
from migration_portal.engine.quarantine import Rejected
from migration_portal.engine.source import Key
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Table


def stage_rows(work: Work, table: Table) -> None:
    """Stage the rows that the source has for the keys, and for each key what it would be in the target."""
    transfer = work.flow.transfer
    stage, keys = names_of(table)
    info, owner = transfer.info(table), directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    columns = [SQL("{} {}").format(Identifier(c.name), compile.raw(info.columns[c.name].type)) for c in owner]
    transfer.target.execute(query("stage", stage=stage, target=transfer.target_table(table.target)))
    transfer.target.execute(query("keys", keys=keys, columns=SQL(", ").join(columns)))
    wanted = work.keys[table.source]
    where = SQL("false") if work.only_gone else source.by_source_key(table, wanted)
    if not work.any_home:
        where = SQL("({}) AND {}").format(where, at_home(work, table.source))
    select = compile.mapped(
        transfer.plan, table, info, where=where, extra=[compile.source_key(table)], guarded=work.guarded
    )
    staged = pipe(transfer.source, select, transfer.target, stage, [*table.column_names, "portal_source_key"])
    staged -= _leave_out_ambiguous(work, table)
    names = [*(c.name for c in owner), "portal_source_key"]
    complete = staged == len(wanted) and not any(map(source.is_open, wanted))
    if work.widen and (others := [tuple(key) for key in source.twins(transfer, table, wanted, gone=not complete)]):
        raise Widen({table.source: others})
    if complete:
        # Nothing is gone, rejected or astray: the stage knows all there is to know.
        work.complete.add(table.target)
        statement = SQL("INSERT INTO {} ({names}) SELECT {names} FROM {}")
        transfer.target.execute(statement.format(keys, stage, names=listed(names)))
        return
    _note_exceptions(work, table, wanted)
    pipe(transfer.source, source.target_keys(transfer, table, wanted), transfer.target, keys, names)
    groups.find(work, table, wanted)


def settle_tables(work: Work) -> None:
    """Where legacy has several tables for rows of the IAM's, one that is of none or of two waits, and keeps its tenant."""
    transfer = work.flow.transfer
    for name, keys in work.keys.items():
        tables = transfer.plan.siblings(name)
        if not all(table.where for table in tables):
            continue
        true = SQL(" + ").join(SQL("(({}) IS TRUE)::int").format(compile.raw(table.where)) for table in tables)
        statement = SQL("SELECT {}, {} > 0 FROM {} WHERE {} AND {} <> 1").format(
            compile.source_key(tables[0]), true, compile.source_table(transfer.plan, tables[0]),
            _of_batch(work, tables[0], keys), true,
        )  # fmt: skip
        named = ", ".join(table.target for table in tables)
        for key, several in transfer.source.execute(statement).fetchall():
            reason = "of_several_tables" if several else "of_no_table"
            how = "more than one" if several else "none"
            work.collide(tables[0], [key], reason, f"The plan's 'where' is true of it for {how} of {named}.")


def _of_batch(work: Work, table: Table, keys: list[Key]) -> Composable:
    """The rows that have these keys, or all, as far as the source may write them."""
    where = source.by_source_key(table, keys) if keys else SQL("true")
    return where if work.any_home else SQL("{} AND {}").format(where, at_home(work, table.source))


def stage_all(work: Work, table: Table) -> None:
    """Stage every row of the source table; one that cannot be mapped waits, and what the target has of it stays."""
    transfer, (stage, _) = work.flow.transfer, names_of(table)
    transfer.target.execute(query("stage", stage=stage, target=transfer.target_table(table.target)))
    for left, refusal in single_out.stage(transfer, table, stage, SQL("true")):
        work.collide(table, [left], "cannot_be_mapped", str(refusal))
    _leave_out_ambiguous(work, table)


def _leave_out_ambiguous(work: Work, table: Table) -> int:
    """Staged rows of a view that has their key more than once wait until it has not. Returns how many rows were left out."""
    if not table.view:
        return 0
    left_out = work.flow.transfer.target.execute(query("ambiguous", stage=names_of(table)[0])).fetchall()
    work.collide(
        table, [row[0] for row in left_out], quarantine.TWIN, f"The view {table.source} has this key more than once."
    )
    return len(left_out)


def at_home(work: Work, name: str) -> Composable:
    """True for the source rows whose tenant the source owns."""
    tenant = belonging.tenant_of_source_row(work.flow.transfer.plan, name, work.flow.transfer.source_catalog)
    return belonging.at_home(tenant, work.homes, by_default=work.flow.by_default)


def _note_exceptions(work: Work, table: Table, keys: list[Key]) -> None:
    """Quarantine rejected rows, and note those written on a side that does not own their tenant."""
    transfer, name = work.flow.transfer, table.source
    if table.reject:
        statement = compile.rejections(transfer.plan, table, source.by_source_key(table, keys))
        rows = [Rejected(key, reason, row) for key, reason, row in transfer.source.execute(statement).fetchall()]
        work.merged.rejected += quarantine.add(transfer, table, rows)
    if not (work.homes_differ and work.first(table)):
        return
    where = source.by_source_key(table, keys)
    statement = query(
        "written_elsewhere", key=compile.source_key(table),
        tenant=belonging.tenant_of_source_row(transfer.plan, name, transfer.source_catalog),
        table=compile.source_table(transfer.plan, table), where=where,
        kept=compile.kept(transfer.plan, table, where), at_home=at_home(work, name),
    )  # fmt: skip
    for key, tenant in transfer.source.execute(statement).fetchall():
        work.stray(name, key, tenant, "written")
