"""The reading half of a transaction of catch-up: what the source has for the keys, what it rejects, and what is a stray."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import quarantine, source
from migration_portal.engine.catchup.flow import Key
from migration_portal.engine.catchup.work import Widen, Work, listed, names_of, query
from migration_portal.engine.pipe import pipe
from migration_portal.engine.quarantine import Rejected
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
    where = source.by_source_key(table, wanted)
    if not work.any_home:
        where = SQL("({}) AND {}").format(where, at_home(work, table.source))
    select = compile.mapped(
        transfer.plan, table, info, where=where, extra=[compile.source_key(table)], guarded=work.guarded
    )
    staged = pipe(transfer.source, select, transfer.target, stage, [*table.column_names, "portal_source_key"])
    names = [*(c.name for c in owner), "portal_source_key"]
    if staged == len(wanted):
        # Nothing is gone, rejected or astray: the stage knows all there is to know.
        work.complete.add(table.target)
        statement = SQL("INSERT INTO {} ({names}) SELECT {names} FROM {}")
        transfer.target.execute(statement.format(keys, stage, names=listed(names)))
        return
    if work.widen and (others := [tuple(key) for key in source.twins(transfer, table, wanted)]):
        raise Widen({table.source: others})
    _note_exceptions(work, table, wanted)
    pipe(transfer.source, source.target_keys(transfer, table, wanted), transfer.target, keys, names)


def note_of_no_table(work: Work) -> None:
    """Rows that would come back into none of the tables that legacy has for them wait, and keep their tenant from moving back."""
    transfer = work.flow.transfer
    for name, keys in work.keys.items():
        tables = transfer.plan.siblings(name)
        if not all(table.where for table in tables):
            continue
        statement = SQL("SELECT {} FROM {} WHERE {} AND NOT ({})").format(
            compile.source_key(tables[0]), compile.source_table(transfer.plan, tables[0]),
            source.by_source_key(tables[0], keys),
            SQL(" OR ").join(SQL("({}) IS TRUE").format(compile.raw(table.where)) for table in tables),
        )  # fmt: skip
        of_none = [row[0] for row in transfer.source.execute(statement)]
        why = f"The plan's 'where' is true of it for none of {', '.join(table.target for table in tables)}."
        work.collide(tables[0], of_none, "of_no_table", why)


def stage_all(work: Work, table: Table) -> None:
    """Stage every row of the source table."""
    transfer, (stage, _) = work.flow.transfer, names_of(table)
    transfer.target.execute(query("stage", stage=stage, target=transfer.target_table(table.target)))
    key = [compile.source_key(table)]
    select = compile.mapped(transfer.plan, table, transfer.info(table), where=SQL("true"), extra=key)
    pipe(transfer.source, select, transfer.target, stage, [*table.column_names, "portal_source_key"])


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
