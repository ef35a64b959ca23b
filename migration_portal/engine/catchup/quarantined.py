"""Rows in quarantine that a transaction of catch-up settles: arrived after all, gone from the source, or orphans no more."""

from __future__ import annotations

import re
from typing import Any

from psycopg.sql import SQL, Identifier

from migration_portal.engine import quarantine, source
from migration_portal.engine.catchup.work import Work, key_of, names_of, query
from migration_portal.engine.queries import queries
from migration_portal.plan.model import Table


def close(work: Work) -> None:
    """Rows that arrived after all, and rows that the source has no more, are settled."""
    transfer = work.flow.transfer
    for table in work.tables:
        stage, _ = names_of(table)
        transfer.target.execute(query("came", stage=stage), {"run": transfer.run, "table": table.target})
        quarantined = quarantine.open_keys(transfer, table)
        waiting = {tuple(key) for key in quarantined} & set(work.keys[table.source])
        if waiting:
            with transfer.source.transaction():
                there = source.there(transfer, table, list(waiting))
            for key in waiting - there:
                gone = {"run": transfer.run, "source": table.source, "key": list(key)}
                transfer.target.execute(queries("catchup")["went"], gone)


def brought(work: Work) -> None:
    """On the way back: rows of legacy's that were kept back, and that the IAM has made by now, are like any other from here on."""
    transfer, ledger = work.flow.transfer, work.flow.ledger
    for table in work.tables:
        if (names := _known_by(work, table)) is None:
            continue
        about = {"run": transfer.run, "source": table.known_as}
        waiting = {tuple(row[0]) for row in ledger.execute(queries("catchup")["quarantined"], about)}
        if not waiting:
            continue
        stage, _ = names_of(table)
        key = SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in names)
        staged = {tuple(row[0]) for row in transfer.target.execute(SQL("SELECT ARRAY[{}] FROM {}").format(key, stage))}
        for each in waiting & staged:
            ledger.execute(queries("catchup")["brought"], about | {"key": list(each)})


def _known_by(work: Work, table: Table) -> tuple[str, ...] | None:
    """The columns of legacy's table by which the quarantine knows its rows: of what a view is made of, those of the view's key."""
    if table.read is None or table.forward is None or not table.forward.view:
        return key_of(work, table)
    links = dict(zip(table.read.key, table.read.link, strict=True))
    return tuple(links[name] for name in table.forward.key) if links.keys() >= set(table.forward.key) else None


def release_orphans(work: Work, table: Table) -> None:
    """Rows in quarantine that waited for rows of this table, or were kept back with them, are looked up again."""
    transfer = work.flow.transfer
    if work.flow.direction != "forward":
        return
    about: dict[str, Any] = {"run": transfer.run, "reason": f"missing_{table.target}", "twins": quarantine.TWINS}
    waiting = transfer.target.execute(queries("catchup")["orphans_waiting"], about).fetchone()
    if not waiting or not waiting[0]:
        return
    stage, _ = names_of(table)
    refers = [
        (other.target, column, parent)
        for other in transfer.plan.tables
        for key in transfer.info(other).foreign_keys
        if key.parent == table.target
        for column, parent in zip(key.columns, key.parent_columns, strict=True)
    ]
    referred_to = {parent for _, _, parent in refers} & set(table.column_names)
    by_column = {
        (name, column): quarantine.written_as(transfer, transfer.table(name), column) for name, column, _ in refers
    }
    shown = SQL(", ").join([SQL("portal_source_key"), *(SQL("{}::text").format(Identifier(n)) for n in referred_to)])
    staged = transfer.target.execute(SQL("SELECT {} FROM {}").format(shown, stage)).fetchall()
    keys = [part for own, *_ in staged for part in own]
    alike = {_plain(part) for part in [*keys, *(value for _, *values in staged for value in values if value)]}
    about |= {
        "keys": keys, "alike": sorted(alike), "loosely": [name for (name, _), of in by_column.items() if not of],
        "refers": [f"{name} {of}" for (name, _), of in by_column.items() if of],
    }  # fmt: skip
    looked_up = {(table.source, key) for key in work.keys[table.source]}
    for name, key in transfer.target.execute(queries("catchup")["waiting_for"], about).fetchall():
        if (name, tuple(key)) in looked_up:
            continue  # just now: it would be for ever
        # On the queue's own session: if this transaction fails they are looked up once in vain.
        work.flow.queue.execute(queries("queue")["enqueue"], {"table": name, "key": key, "tenant": None})


def _plain(text: str) -> str:
    """Of a uuid, the same however it is written."""
    return re.sub("[{}-]", "", text).lower()
