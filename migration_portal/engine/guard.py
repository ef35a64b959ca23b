"""The guard in a database: triggers that refuse writes for tenants of the other side, and the hold while a tenant moves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine.capture import attach, function_name, patiently, settings_of, watched
from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.locks import GUARD_BUCKETS, Lock
from migration_portal.plan import belonging
from migration_portal.plan.model import Catalog, Plan
from migration_portal.refusal import Refusal

_TRIGGERS = ("portal_guard", "portal_guard_truncate")
_FUNCTIONS = ("guard_after", "guard_truncate")
_POLL_SECONDS = 0.05
_EMPTIES = ["AccessExclusiveLock"]
_WRITES = ["RowExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock", *_EMPTIES]
"""The locks of those who may have written."""


class HoldTimeout(Refusal):
    """A writer kept the tenant longer than the deadline."""


@dataclass(frozen=True)
class Writer:
    """A session that may have written; `pid` is None for a prepared transaction. `seconds` is its transaction's age."""

    transaction: str
    pid: int | None
    role: str
    application: str
    seconds: float

    def __str__(self) -> str:
        if self.pid is None:
            return "a prepared transaction (see pg_prepared_xacts)"
        return f"session {self.pid} of {self.role} ({self.application or 'unnamed'}), open for {self.seconds:.0f} s"


def install_guard(connection: Connection[Any], plan: Plan, catalog: Catalog, *, by_default: bool) -> None:
    """Refuse writes for tenants that are at home elsewhere; `by_default` is for tenants nobody has decided about."""
    for source in plan.watched:
        parts = {
            "old_tenants": _tenants(plan, source, catalog, "OLD"), "new_tenants": _tenants(plan, source, catalog, "NEW"),
            "by_default": Literal(by_default),
            "lock_class": Literal(int(Lock.GUARD)), "lock_mask": Literal(GUARD_BUCKETS - 1),
            "settings": settings_of(plan, catalog, source),
        }  # fmt: skip

        def make(source: str = source, parts: dict[str, Any] = parts) -> None:
            for query, kind, trigger in (
                ("guard_after", "guard_trigger", "portal_guard"),
                ("guard_truncate", "guard_truncate_trigger", "portal_guard_truncate"),
            ):
                function = function_name(query, source)
                statement = queries("guard")[query]
                connection.execute(statement.format(function=Identifier("portal_capture", function), **parts))
                attach(connection, plan.source_schema, source, trigger, function, queries("guard")[kind])

        patiently(connection, make, source)


def _tenants(plan: Plan, watched: str, catalog: Catalog, row: str) -> Composable:
    """Whose rows a change of the watched row is about, as a list."""
    return SQL(", ").join(
        belonging.tenant_of_watched(plan, rows, catalog, row) for rows in belonging.concerned(plan, watched)
    )


def remove_guard(connection: Connection[Any], plan: Plan) -> None:
    """Let everybody write again. Raises LockTimeout."""

    def drop(source: str) -> None:
        for trigger in _TRIGGERS:
            table = Identifier(plan.source_schema, source)
            connection.execute(SQL("DROP TRIGGER IF EXISTS {} ON {}").format(Identifier(trigger), table))

    for source in plan.watched:
        patiently(connection, lambda source=source: drop(source), source)  # type: ignore[misc]


def guarded(connection: Connection[Any], plan: Plan) -> bool:
    there = watched(connection, plan.source_schema)
    return all("portal_guard" in there.get(source, set()) for source in plan.watched)


def current(connection: Connection[Any], plan: Plan) -> bool:
    """Whether all tables have the triggers of this version: an upgrade may have had to wait for a writer."""
    there = rows(connection, queries("capture")["watched"], {"schema": plan.source_schema})
    functions = {(row["table_name"], row["function"]) for row in there if row["always"]}
    return all((source, function_name(kind, source)) in functions for source in plan.watched for kind in _FUNCTIONS)


def set_home(connection: Connection[Any], tenant: str, *, here: bool) -> None:
    """Tell this side's guard where the tenant lives. Raises Refusal."""
    try:
        connection.execute(queries("guard")["set_home"], {"tenant": tenant, "here": here})
    except psycopg.Error as error:
        raise describe(error, subject=tenant) from error


def hold(connection: Connection[Any], tenant: str, *, seconds: float) -> None:
    """Wait until nobody writes for the tenant, and keep it so until `release` or the session's end.

    Only writers that pass the guard's trigger are held. Raises HoldTimeout.
    """
    with connection.transaction():
        connection.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(f"{int(seconds * 1000)}ms")))
        try:
            connection.execute("SELECT pg_advisory_lock(%s, hashtext(lower(%s)) & %s)", _guard_key(tenant))
        except psycopg.errors.LockNotAvailable as error:
            raise HoldTimeout(
                "Its writers did not pause within the deadline.", subject=f"tenant {tenant}",
                todo="Nothing has changed. Look for a long transaction, then cut over again.",
            ) from error  # fmt: skip


def release(connection: Connection[Any], tenant: str) -> None:
    connection.execute("SELECT pg_advisory_unlock(%s, hashtext(lower(%s)) & %s)", _guard_key(tenant))


def wait_for_writers(connection: Connection[Any], plan: Plan, *, until: float, ours: list[int]) -> None:
    """Wait for every transaction that may have written to the plan's source tables before now: the guard may be off.

    What begins later is not visible to the flip's snapshot, and listed as a stray write. `until` is in time.monotonic()
    seconds; `ours` are the processes of our own idle sessions. Raises HoldTimeout that names a session.
    With the guard on, whoever wrote for the tenant has its lock, and `hold` has waited for him: those who wait for the hold
    now must not be waited for. Only TRUNCATE takes no such lock.
    """
    there = writers(connection, plan, ours)
    before = {writer.transaction for writer in there}
    while left := [writer for writer in there if writer.transaction in before]:
        if time.monotonic() > until:
            raise HoldTimeout(
                f"A transaction that may have written to it did not end in time: {left[0]}.",
                subject="open transactions", todo="Nothing has changed. End it, or wait for it, then cut over again.",
            )  # fmt: skip
        time.sleep(_POLL_SECONDS)
        there = writers(connection, plan, ours)


def writers(connection: Connection[Any], plan: Plan, ours: list[int]) -> list[Writer]:
    """The sessions that may have written to the plan's source tables in a transaction that is still open."""
    tables = [Identifier(plan.source_schema, source).as_string(connection) for source in plan.watched]
    with connection.cursor(row_factory=class_row(Writer)) as cursor:
        about = {"tables": tables, "ours": ours, "modes": _EMPTIES if guarded(connection, plan) else _WRITES}
        return cursor.execute(queries("guard")["writers"], about).fetchall()


def _guard_key(tenant: str) -> list[Any]:
    return [int(Lock.GUARD), tenant, GUARD_BUCKETS - 1]
