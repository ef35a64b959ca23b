"""Rows kept back with a reason. What is kept of a row never includes its secret columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal
from psycopg.types.json import Jsonb

from migration_portal.engine import source
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import belonging, compile
from migration_portal.plan.model import ForeignKey, Table
from migration_portal.plan.spelling import spelled

DOUBLE, TWIN = "duplicate_key", "key_twice"
"""Why a row was kept back that would be the same in the IAM as another: by a copy, and by catch-up."""
TWINS = [DOUBLE, TWIN]
_LONGEST = 300
_AT_ONCE = 1000


@dataclass(frozen=True)
class Rejected:
    """A source row that did not arrive: its key, why, and the row as JSON text (secrets not yet removed)."""

    key: list[str]
    reason: str
    row: str | dict[str, Any] | None
    detail: str = ""


def redact(table: Table, row: str | dict[str, Any] | None) -> dict[str, Any]:
    """The row without secret columns, long values cut, and without the NUL escapes that jsonb refuses."""
    if row is None:
        return {}
    values: dict[str, Any] = json.loads(row) if isinstance(row, str) else row
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if name in table.secret:
            kept[name] = "(secret)"
            continue
        if isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False)
        if isinstance(value, str):
            value = value.replace("\0", "\\u0000")
            value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}… ({len(value)} characters)"
        kept[name] = value
    return kept


def rejections(
    transfer: Transfer, table: Table, keys: Sequence[list[str]], reason: str, detail: str = ""
) -> list[Rejected]:
    """Rejected rows by source key, with the row as it is now."""
    if not keys:
        return []
    statement = queries("source")["rows"].format(
        key=compile.source_key(table),
        name=Identifier(table.source),
        table=compile.source_table(transfer.plan, table),
        where=source.by_source_key(table, keys),
    )
    with transfer.source.transaction():
        rows = {tuple(key): row for key, row in transfer.source.execute(statement)}
    return [Rejected(key, reason, rows.get(tuple(key)), detail) for key in keys]


def add(transfer: Transfer, table: Table, rejected: Iterable[Rejected]) -> int:
    """Record rejected rows, in the transaction that leaves them out. Returns how many."""
    rejected, rows = list(rejected), []
    for item, tenant in zip(rejected, _tenants(transfer, table, rejected), strict=True):
        rows.append(
            {
                "run": transfer.run,
                "table_name": table.target,
                "source_table": table.source,
                "source_key": item.key,
                "tenant": tenant,
                "reason": item.reason,
                "detail": item.detail[:500],
                "data": Jsonb(redact(table, item.row)),
            }
        )
    if rows:
        with transfer.target.cursor() as cursor:
            cursor.executemany(queries("quarantine")["add"], rows)
    return len(rows)


def _tenants(transfer: Transfer, table: Table, rejected: Sequence[Rejected]) -> list[str | None]:
    """Whose each row is, as the source writes it; None also where that cannot be said."""
    if not belonging.owned(transfer.plan, table.source):
        return [None] * len(rejected)
    whose = belonging.tenant_as_written(
        transfer.plan, table.source, transfer.source_catalog, Identifier(table.source).as_string(transfer.source)
    )

    def ask(items: Sequence[Rejected]) -> list[str | None]:
        written = [item.row if isinstance(item.row, str | None) else json.dumps(item.row) for item in items]
        statement = queries("source")["whose"].format(
            whose=whose, table=compile.source_table(transfer.plan, table), name=Identifier(table.source), written=Literal(written),
        )  # fmt: skip
        with transfer.source.transaction():
            return [row[0] for row in transfer.source.execute(statement)]

    try:
        return ask(rejected)
    except psycopg.DataError:
        pass
    found: list[str | None] = []
    for item in rejected:
        try:
            found += ask([item])
        except psycopg.DataError:  # the very reason why it is rejected
            found.append(None)
    return found


def follow_parents(transfer: Transfer) -> None:
    """Open rows whose parent has come to another tenant are that tenant's by now."""
    for table in transfer.plan.tables:
        whose = belonging.tenant_of_key(transfer.plan, table.source, transfer.source_catalog, "q.key")
        if whose is None:
            continue
        about = {"run": transfer.run, "table": table.target}
        kept = transfer.target.execute(queries("quarantine")["open_with_tenant"], about).fetchall()
        for first in range(0, len(kept), _AT_ONCE):
            some = kept[first : first + _AT_ONCE]
            keys = SQL(", ").join(
                SQL("({}::bigint, {}::text[])").format(Literal(id), Literal(key)) for id, key, _ in some
            )
            asked = SQL("SELECT q.id, {} FROM (VALUES {}) AS q (id, key)").format(whose, keys)
            with transfer.source.transaction():
                now = dict(transfer.source.execute(asked).fetchall())
            moved = [(now[id], id) for id, _, tenant in some if now.get(id) and now[id] != tenant]
            with transfer.target.cursor() as cursor:
                cursor.executemany("UPDATE portal_ledger.quarantine SET tenant = %s WHERE id = %s", moved)


def open_keys(transfer: Transfer, table: Table, reasons: str = "%") -> list[list[str]]:
    """The source keys of this run's rows that are not in the target, for verification to pass over; `reasons` is a LIKE pattern."""
    about = {"run": transfer.run, "table": table.target, "reasons": reasons}
    return [row[0] for row in transfer.target.execute(queries("quarantine")["absent"], about)]


def doubles(transfer: Transfer, table: Table, key: ForeignKey) -> list[list[str]]:
    """The source keys of rows whose parent by the foreign key was kept back as a twin: in the IAM they would be the other's.

    The parent is made of the same source row, or of one to which theirs refers as it writes its own key.
    """
    found: list[list[str]] = []
    column = written_as(transfer, table, key.columns[0])
    for parent in (each for each in transfer.plan.tables if each.target == key.parent):
        kept, beside = twins(transfer, parent), parent.source == table.source
        if beside and parent is not table:
            found += kept
        itself = beside and column in table.key
        if kept and column and not itself and len(parent.key) == len(key.columns) == 1:
            found += _referring(transfer, table, column, [each for (each,) in kept])
    return found


def written_as(transfer: Transfer, table: Table, column: str) -> str:
    """The source's column that the target's is, but for how it is written; empty for more than that."""
    mapped = table.column(column)
    found = spelled(mapped.reading) if mapped else ""
    return found if found in transfer.source_catalog[table.source].columns else ""


def _referring(transfer: Transfer, table: Table, column: str, keys: Sequence[str]) -> list[list[str]]:
    refers = SQL("{}::text = ANY({}::text[])").format(Identifier(column), Literal(list(keys)))
    statement = queries("source")["keys"].format(
        key=compile.source_key(table), table=compile.source_table(transfer.plan, table), where=refers
    )
    with transfer.source.transaction():
        return [row[0] for row in transfer.source.execute(statement)]


def twins(transfer: Transfer, table: Table) -> list[list[str]]:
    """The source keys of rows that were kept back because another has their key in the IAM, or discarded since."""
    about = {"run": transfer.run, "table": table.target, "reasons": TWINS}
    return [row[0] for row in transfer.target.execute(queries("quarantine")["twins"], about)]


def of_tenant(transfer: Transfer, table: Table, tenant: str) -> Composable:
    """True for legacy's rows of the tenant, as legacy writes it; not for those of which its expression may fail.

    Those are the rows that a rule rejects, and those in quarantine.
    """
    whose = belonging.tenant_as_written(
        transfer.plan, table.source, transfer.source_catalog, Identifier(table.source).as_string(transfer.source)
    )
    if belonging.tenant_column(transfer.plan, table.source, transfer.source_catalog):
        return SQL("lower({}) = {}").format(whose, Literal(tenant.lower()))
    kept_out = unmapped(table, open_keys(transfer, table))
    return SQL("(CASE WHEN {} THEN false ELSE lower({}) = {} END)").format(kept_out, whose, Literal(tenant.lower()))


def unmapped(table: Table, absent: Sequence[Sequence[str]]) -> Composable:
    """True for the source rows of which the plan's expressions may fail: those that a rule rejects, and those of these keys."""
    rejected = compile.rejected(table)
    return source.any_of([rejected, source.by_source_key(table, absent)]) if absent else rejected


def close(iam: Connection[Any], ids: Sequence[int], *, state: str, by: str) -> set[int]:
    """Close quarantined rows as `copied` or `discarded`. Returns the ids of those that were open."""
    closed = iam.execute(queries("quarantine")["close"], {"ids": list(ids), "state": state, "by": by})
    return {row[0] for row in closed}
