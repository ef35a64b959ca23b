"""Keys that leave parts open, as a change of a row of which the source makes many is captured: what they stand for now."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import source
from migration_portal.engine.catchup.work import Work, listed, names_of, query
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile, directions
from migration_portal.plan.model import Table


def members(transfer: Transfer, name: str, keys: Sequence[Key]) -> dict[Key, list[Key]]:
    """Per key of a row that the source has, or that is in quarantine, those of the keys that leave parts open and stand for it."""
    groups = [key for key in keys if source.is_open(key)]
    if not groups:
        return {}
    named = source.Named(groups)
    there = _in_source(transfer, name, groups) | _in_quarantine(transfer, name)
    return {key: list(named.standing_for(key)) for key in there if not source.is_open(key) and key in named}


def _in_source(transfer: Transfer, name: str, groups: Sequence[Key]) -> set[Key]:
    table = transfer.plan.siblings(name)[0]
    statement = queries("source")["keys"].format(
        key=compile.source_key(table), table=compile.source_table(transfer.plan, table),
        where=source.by_source_key(table, groups),
    )  # fmt: skip
    with transfer.source.transaction():
        return {tuple(row[0]) for row in transfer.source.execute(statement)}


def _in_quarantine(transfer: Transfer, name: str) -> set[Key]:
    about = {"run": transfer.run, "source": name}
    return {tuple(row[0]) for row in transfer.target.execute(queries("catchup")["quarantined"], about)}


def find(work: Work, table: Table, keys: Sequence[Key]) -> None:
    """Put what such keys stand for in the target in their place: rows that we wrote, and that are none of what the source has."""
    transfer, looked_up = work.flow.transfer, names_of(table)[1]
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    names = [column.name for column in owner]
    groups = source.parted(table.key, filter(source.is_open, keys))
    known = dict.fromkeys(tuple(c.name for c in owner if directions.follows(c, table, said)) for said in groups)
    found: list[Composable] = [
        query(
            "found", keys=looked_up, target=transfer.target_table(table.target),
            names=SQL("{}, k.portal_source_key").format(SQL(", ").join(SQL("t.{}").format(Identifier(n)) for n in names)),
            group=compile.same(said, said, "t", "k"), member=compile.same(names, names, "t", "m"),
            open=SQL(" AND ").join([SQL("true"), *(SQL("k.{} IS NULL").format(Identifier(n)) for n in names if n not in said)]),
            written=query("written_by_us", target_name=Literal(table.target)),
        )
        for said in known
        if said
    ]  # fmt: skip
    if found:
        statement = query(
            "find_groups",
            keys=looked_up,
            names=listed([*names, "portal_source_key"]),
            found=SQL(" UNION ALL ").join(found),
        )
        transfer.target.execute(statement)
