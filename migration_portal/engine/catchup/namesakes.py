"""Rows that the source tells apart and the target does not: `ann` and `ANN`, say, where its key is `md5(lower(login))`.

The one that came first has the target's row. Another is kept back, and does not take that row along when it goes.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine import quarantine, source
from migration_portal.engine.catchup.work import Work, key_of, names_of, query
from migration_portal.engine.queries import queries
from migration_portal.engine.source import Key
from migration_portal.plan import compile, directions
from migration_portal.plan.model import Table

_REASON = "key_twice"


def keep_back(work: Work, table: Table) -> None:
    """Once the rows of the batch are staged: leave out those whose place in the target another row of the source has."""
    transfer = work.flow.transfer
    if table.one_of_many or directions.one_to_one(table, transfer.target_catalog):
        return
    keys = [key for key in work.keys[table.source] if not source.is_open(key)]
    if not (others := _others(work, table, keys)):
        return
    stage, _ = names_of(table)
    staged = {
        tuple(row[0])
        for row in transfer.target.execute(SQL("SELECT portal_source_key FROM {}").format(stage)).fetchall()
    }
    kept = {tuple(key) for key in quarantine.open_keys(transfer, table)} if work.flow.direction == "forward" else set()
    for key, holders in others.items():
        holders -= kept
        if key not in staged:  # gone, or kept back already: what the other has made stays
            work.protected.setdefault(table.source, set()).update({key} if holders else ())
        elif holders and (key in kept or not holders & staged or key > min(holders)):
            _leave_out(work, table, key, min(holders))


def _leave_out(work: Work, table: Table, key: Key, holder: Key) -> None:
    transfer, (stage, _) = work.flow.transfer, names_of(table)
    transfer.target.execute(query("withheld", stage=stage, protected=source.array_of_keys({key})))
    work.complete.discard(table.target)
    detail = f"In {table.target} it would be the same row as {', '.join(holder)}."
    if work.flow.direction == "reverse":
        work.collide(table, [key], _REASON, detail)
        return
    # At once, not when it has been tried for a while: until then it would stand in the other's way.
    work.protected.setdefault(table.source, set()).add(key)
    rejected = quarantine.rejections(transfer, table, [list(key)], _REASON, detail)
    work.merged.rejected += quarantine.add(transfer, table, rejected)


def _others(work: Work, table: Table, keys: list[Key]) -> dict[Key, set[Key]]:
    """Per key, those of other rows of the source that would be the same row of the target."""
    transfer = work.flow.transfer
    owner = directions.owner(table, transfer.source_catalog, transfer.target_catalog)
    types = transfer.info(table).columns
    places = [Identifier(f"portal_{n}") for n in range(len(owner))]
    same = SQL(" AND ").join(
        SQL("({})::{} = asked.{}").format(compile.raw(column.sql), compile.raw(types[column.name].sent_as), place)
        for column, place in zip(owner, places, strict=True)
    )
    statement = queries("source")["namesakes"].format(
        key=compile.source_key(table), table=compile.source_table(transfer.plan, table), same=same,
        asked=source.target_keys(transfer, table, keys), places=SQL(", ").join(places),
        kept=SQL("NOT {}").format(compile.rejected(table)),
    )  # fmt: skip
    found: dict[Key, set[Key]] = {}
    for key, other in transfer.source.execute(statement).fetchall() if keys else ():
        found.setdefault(tuple(key), set()).add(tuple(other))
    return found


def keep_written(work: Work, table: Table) -> None:
    """Before the rows of the batch are written: those wait whose key the target has already, written in another way."""
    transfer, key = work.flow.transfer, key_of(work, table)
    if otherwise := _otherwise(work, table, key):
        statement = query(
            "written_otherwise", stage=names_of(table)[0], target=transfer.target_table(table.target),
            same=compile.same(key, key, "t", "s"), otherwise=otherwise,
        )  # fmt: skip
        found = transfer.target.execute(statement).fetchall()
        work.collide(table, [row[0] for row in found], _REASON, f"{table.target} has its key, written in another way.")


def _otherwise(work: Work, table: Table, key: tuple[str, ...]) -> Composable | None:
    columns = work.flow.transfer.info(table).columns
    parts = [
        SQL('t.{name}::text COLLATE "C" <> s.{name}::text').format(name=Identifier(name))
        for name in key
        if columns[name].loose
    ]
    return SQL(" OR ").join(parts) if parts else None
