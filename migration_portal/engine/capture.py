"""Recording which keys change: triggers that append to a queue in a schema of our own.

Works on either side, for the tables of a plan's source. The triggers fire always (also for
sessions that replay a log), except for our own writes, which set `portal.applying`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger
from migration_portal.engine.errors import LockTimeout, describe
from migration_portal.engine.ledger import Chunk, Outcome, rows
from migration_portal.engine.queries import queries
from migration_portal.engine.source import array_of_keys
from migration_portal.engine.transfer import Transfer
from migration_portal.locks import GUARD_BUCKETS, Lock
from migration_portal.plan import directions
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Catalog, Plan
from migration_portal.refusal import Refusal

_LOCK_TIMEOUT = "1s"
_ATTEMPTS = 20
"""A writer that holds a table longer than all attempts keeps us out; we never queue before other writers for long."""


class HoldTimeout(Refusal):
    """A writer kept the tenant longer than the deadline."""


_TRIGGERS = ("portal_capture", "portal_capture_truncate")


@dataclass(frozen=True)
class Lag:
    """Captured entries not yet applied: how many, how many of them failed before, and the age of the oldest in seconds."""

    entries: int = 0
    retrying: int = 0
    seconds: float = 0.0
    last: int | None = None


def start_capture(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Watch the source tables before anything is read from them, and mark the chunk done."""
    assert transfer.queue is not None
    install(transfer.queue, transfer.plan, transfer.source_catalog)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()


def install(connection: Connection[Any], plan: Plan, catalog: Catalog) -> None:
    """Watch the plan's source tables, or make sure that they are watched. Raises LockTimeout, or psycopg.Error.

    `catalog` is the source's. After this returns, whatever is written is captured, and whatever
    was written before is visible to every later snapshot: CREATE TRIGGER waits for open writers.
    """
    with connection.transaction():
        for name in ("schema", "queue", "homes", "grants"):
            connection.execute(queries("capture")[name])
    for source in plan.sources:
        _each_with_patience(connection, plan, catalog, source)


def _each_with_patience(connection: Connection[Any], plan: Plan, catalog: Catalog, source: str) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction():
                connection.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(_LOCK_TIMEOUT)))
                _watch(connection, plan, catalog, source)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if attempt == _ATTEMPTS - 1:
                raise LockTimeout(
                    f"Its triggers could not be created: writers held it through {_ATTEMPTS} attempts.",
                    subject=source, todo="End the long transaction on it (see pg_stat_activity); it is tried again.",
                ) from error  # fmt: skip
            time.sleep(0.2)


def _watch(connection: Connection[Any], plan: Plan, catalog: Catalog, source: str) -> None:
    table = Identifier(plan.source_schema, source)
    key = _key_of(plan, source)
    tenant = directions.tenant_column(plan, source, catalog)
    parts = {
        "name": Literal(source),
        "old": _array("OLD", key), "new": _array("NEW", key),
        "old_tenant": _text("OLD", tenant), "new_tenant": _text("NEW", tenant),
    }  # fmt: skip
    there = watched(connection, plan.source_schema).get(source, set())
    for query, trigger, kind in (
        ("function", "portal_capture", "trigger"),
        ("truncated", "portal_capture_truncate", "truncate_trigger"),
    ):
        function = Identifier("portal_capture", f"{query}_{source}"[:63])
        connection.execute(queries("capture")[query].format(function=function, **parts))
        if trigger not in there:
            connection.execute(SQL("DROP TRIGGER IF EXISTS {} ON {}").format(Identifier(trigger), table))
            connection.execute(queries("capture")[kind].format(table=table, function=function))
            connection.execute(SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, Identifier(trigger)))


def _key_of(plan: Plan, source: str) -> tuple[str, ...]:
    keys = {table.key for table in directions.siblings(plan, source)}
    if len(keys) > 1:
        raise PlanError("Its table plans use different keys.", subject=source, todo="Use one key for a source table.")
    return keys.pop()


def _array(row: str, columns: tuple[str, ...]) -> Composable:
    return SQL("ARRAY[{}]").format(SQL(", ").join(_text(row, column) for column in columns))


def _text(row: str, column: str | None) -> Composable:
    return SQL("{}.{}::text").format(SQL(row), Identifier(column)) if column else SQL("NULL::text")  # type: ignore[arg-type]


def install_guard(connection: Connection[Any], plan: Plan, catalog: Catalog, *, by_default: bool) -> None:
    """Refuse writes for tenants that are at home elsewhere; `by_default` is for tenants nobody has decided about."""
    for source in plan.sources:
        tenant = directions.tenant_column(plan, source, catalog)
        function = Identifier("portal_capture", f"guard_{source}"[:63])
        table = Identifier(plan.source_schema, source)
        with connection.transaction():
            connection.execute(SQL("SET LOCAL lock_timeout = '10s'"))
            connection.execute(
                queries("capture")["guard"].format(
                    function=function, old_tenant=_text("OLD", tenant), new_tenant=_text("NEW", tenant),
                    by_default=Literal(by_default), lock_class=Literal(int(Lock.GUARD)), lock_mask=Literal(GUARD_BUCKETS - 1),
                )
            )  # fmt: skip
            connection.execute(SQL("DROP TRIGGER IF EXISTS portal_guard ON {}").format(table))
            connection.execute(queries("capture")["guard_trigger"].format(table=table, function=function))
            connection.execute(SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER portal_guard").format(table))


def remove_guard(connection: Connection[Any], plan: Plan) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for source in plan.sources:
            table = Identifier(plan.source_schema, source)
            connection.execute(SQL("DROP TRIGGER IF EXISTS portal_guard ON {}").format(table))


def remove(connection: Connection[Any], plan: Plan) -> None:
    """Take triggers, functions, queue and schema away again, without a trace."""
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for source in plan.sources:
            table = Identifier(plan.source_schema, source)
            for trigger in (*_TRIGGERS, "portal_guard"):
                connection.execute(SQL("DROP TRIGGER IF EXISTS {} ON {}").format(Identifier(trigger), table))
        connection.execute("DROP SCHEMA IF EXISTS portal_capture CASCADE")


def watched(connection: Connection[Any], schema: str) -> dict[str, set[str]]:
    """Per table, the names of our triggers that fire always."""
    triggers: dict[str, set[str]] = {}
    for row in rows(connection, queries("capture")["watched"], {"schema": schema}):
        if row["always"]:
            triggers.setdefault(row["table_name"], set()).add(row["trigger"])
    return triggers


def unwatched(connection: Connection[Any], plan: Plan) -> list[str]:
    """The plan's source tables whose changes nobody records."""
    there = watched(connection, plan.source_schema)
    return [source for source in plan.sources if not there.get(source, set()) >= set(_TRIGGERS)]


def guarded(connection: Connection[Any], plan: Plan) -> bool:
    there = watched(connection, plan.source_schema)
    return all("portal_guard" in there.get(source, set()) for source in plan.sources)


def installed(connection: Connection[Any]) -> bool:
    row = connection.execute("SELECT to_regclass('portal_capture.queue')").fetchone()
    return row is not None and row[0] is not None


def lag(connection: Connection[Any]) -> Lag:
    """How far catch-up is behind; nothing where nothing is captured."""
    if not installed(connection):
        return Lag()
    with connection.cursor(row_factory=class_row(Lag)) as cursor:
        return cursor.execute(queries("capture")["lag"]).fetchone() or Lag()


def tenants_waiting(connection: Connection[Any]) -> dict[str, int]:
    """Entries waiting, per tenant as the source writes it."""
    return dict(connection.execute(queries("capture")["tenants_waiting"]).fetchall())


def enqueue(queue: Connection[Any], table: str, keys: Iterable[Sequence[str]], tenant: str | None = None) -> None:
    """Ask for these keys to be looked up again."""
    with queue.cursor() as cursor:
        cursor.executemany(
            queries("capture")["enqueue"], [{"table": table, "key": list(key), "tenant": tenant} for key in keys]
        )


def waiting(queue: Connection[Any], table: str, keys: Iterable[Sequence[str]]) -> list[list[str]]:
    """Those of these keys that are captured and not yet applied."""
    statement = queries("capture")["waiting"].format(keys=array_of_keys(keys))
    return [row[0] for row in queue.execute(statement, {"table": table})]


def compact(connection: Connection[Any]) -> int:
    """Drop entries that a newer one of the same key makes superfluous. Returns how many."""
    return connection.execute(queries("capture")["compact"]).rowcount


def set_home(connection: Connection[Any], tenant: str, *, here: bool) -> None:
    """Tell this side's guard where the tenant lives."""
    try:
        connection.execute(
            "INSERT INTO portal_capture.homes (tenant, here) VALUES (%s, %s)"
            " ON CONFLICT (tenant) DO UPDATE SET here = excluded.here WHERE homes.here <> excluded.here",
            [tenant, here],
        )
    except psycopg.Error as error:
        raise describe(error, subject=tenant) from error


def hold(connection: Connection[Any], tenant: str, *, seconds: float) -> None:
    """Wait until nobody writes for the tenant, and keep it so until `release` or the session's end.

    Only writers that pass the guard's trigger are held. Raises HoldTimeout.
    """
    with connection.transaction():
        connection.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(f"{int(seconds * 1000)}ms")))
        try:
            connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s) & %s)", _guard_key(tenant))
        except psycopg.errors.LockNotAvailable as error:
            raise HoldTimeout(
                "Its writers did not pause within the deadline.", subject=f"tenant {tenant}",
                todo="Nothing has changed. Look for a long transaction, then cut over again.",
            ) from error  # fmt: skip


def release(connection: Connection[Any], tenant: str) -> None:
    connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s) & %s)", _guard_key(tenant))


def _guard_key(tenant: str) -> list[Any]:
    return [int(Lock.GUARD), tenant, GUARD_BUCKETS - 1]
