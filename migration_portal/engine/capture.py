"""Recording which keys change: triggers that append to a queue in a schema of our own.

Works on either side, for the tables of a plan's source. The triggers fire always (also for
sessions that replay a log), except for our own writes, which set `portal.applying`. They never fail
a write of the application's: what they cannot record by key they record as "look at this whole table".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger, subselects
from migration_portal.engine import numbers as given
from migration_portal.engine.errors import LockTimeout
from migration_portal.engine.ledger import Chunk, Outcome, rows
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.locks import Lock
from migration_portal.plan import belonging, compile, directions, numbers
from migration_portal.plan.belonging import Concerned, concerned
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Catalog, Plan

VERSION = 3
"""Of our objects in a database; kept as the schema's comment. Version 0.1 left none."""
MOST_WAITING = 2_000_000
"""Entries after which a queue that nobody reads is cut short; the loops set it anew."""
TRIGGERS = ("portal_capture", "portal_capture_truncate")
_LOCK_TIMEOUT = "1s"
_ATTEMPTS = 20
"""A writer that holds a table longer than all attempts keeps us out; we never queue before other writers for long."""
_OBJECTS = ("schema", "queue", "queue_2", "homes", "brake", "whole", "owner", "leaves_table", "grants")
_PLAIN = {
    "uuid", "text", "character varying", "character", "bpchar", "name", "citext", "smallint", "integer", "bigint", "numeric",
    "boolean", "oid",
}  # fmt: skip
"""Types that are written alike in every session."""
_PINNED = SQL(
    " SET TimeZone TO 'UTC' SET DateStyle TO 'ISO, MDY' SET IntervalStyle TO 'postgres'"
    " SET extra_float_digits TO 1 SET bytea_output TO 'hex'"
)


def start_capture(transfer: Transfer, chunk: Chunk) -> Outcome:
    """Watch the source tables before anything is read from them, and mark the chunk done."""
    assert transfer.queue is not None
    plan = numbers.plain(transfer.plan)
    for refusal in (each for source in plan.sources for each in subselects.uncapturable(transfer.queue, plan, source)):
        raise refusal
    for refusal in directions.unfollowed(transfer.plan, transfer.source_catalog, transfer.target_catalog):
        raise refusal
    install(transfer.queue, transfer.plan, transfer.source_catalog)
    given.prepare(transfer.queue, transfer.target, transfer.plan)
    with transfer.target.transaction():
        ledger.fence(transfer.target, chunk)
        ledger.done(transfer.target, chunk, Outcome())
    return Outcome()


def install(connection: Connection[Any], plan: Plan, catalog: Catalog) -> None:
    """Watch the plan's source tables, or make sure that they are watched; bring older objects of ours up to date.

    `catalog` is the source's. After this returns, whatever is written is captured, and whatever
    was written before is visible to every later snapshot: CREATE TRIGGER waits for open writers.
    Raises LockTimeout, or psycopg.Error.
    """
    patiently(connection, lambda: _make_objects(connection), "portal_capture")
    for source in plan.watched:
        patiently(connection, lambda source=source: _watch(connection, plan, catalog, source), source)  # type: ignore[misc]
    connection.execute(queries("capture")["sign"].format(version=Literal(f"version {VERSION}")))


def upgrade(connection: Connection[Any], plan: Plan, catalog: Catalog) -> bool:
    """Bring what an earlier version installed up to date, under load. Returns whether there was anything to do."""
    if not 0 < version(connection) < VERSION:
        return False
    install(connection, plan, catalog)
    return True


def version(connection: Connection[Any]) -> int:
    """Of what is installed; 0 for nothing."""
    row = connection.cursor(row_factory=tuple_row).execute(queries("capture")["version"]).fetchone()
    there, comment = row if row else (False, None)
    if not there:
        return 0
    return int(comment.removeprefix("version ")) if comment and comment.startswith("version ") else 1


def patiently(connection: Connection[Any], do: Callable[[], None], subject: str) -> None:
    """Do what needs a lock on a busy table, in a transaction; no writer waits behind us for longer than a moment.

    Raises LockTimeout.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction():
                connection.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(_LOCK_TIMEOUT)))
                do()
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if attempt == _ATTEMPTS - 1:
                raise LockTimeout(
                    f"Its triggers could not be created: writers held it through {_ATTEMPTS} attempts.",
                    subject=subject, todo="End the long transaction on it (see pg_stat_activity); it is tried again.",
                ) from error  # fmt: skip
            time.sleep(0.2)


def _alone(connection: Connection[Any]) -> None:
    """Until the transaction's end: of two sessions that create the same function at once, one would fail."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [int(Lock.CAPTURE)])


def _make_objects(connection: Connection[Any]) -> None:
    _alone(connection)
    for name in _OBJECTS:
        statement = queries("capture")[name]
        connection.execute(statement.format(most=Literal(MOST_WAITING)) if name == "brake" else statement)


def _watch(connection: Connection[Any], plan: Plan, catalog: Catalog, source: str) -> None:
    _alone(connection)
    about = {"table": Identifier(plan.source_schema, source).as_string(connection)}
    if children := [row["child"] for row in rows(connection, queries("capture")["children"], about)]:
        raise PlanError(
            f"Tables inherit from it ({', '.join(children)}): their rows are read with it, their changes would not be captured.",
            subject=source, todo="Make them partitions, or views; or run without capture.",
        )  # fmt: skip
    about_rows = concerned(plan, source)
    for row in about_rows:
        _try_tenant(connection, plan, catalog, row)
    parts: dict[str, Composable] = {
        "names": Literal([row.source for row in about_rows]),
        "records": SQL("").join(_record(plan, catalog, row) for row in about_rows),
        "settings": settings_of(plan, catalog, source),
    }  # fmt: skip
    for query, trigger, kind in (
        ("function", "portal_capture", "trigger"),
        ("truncated", "portal_capture_truncate", "truncate_trigger"),
    ):
        function = function_name(query, source)
        connection.execute(queries("capture")[query].format(function=Identifier("portal_capture", function), **parts))
        attach(connection, plan.source_schema, source, trigger, function, queries("capture")[kind])
    leaves = _leaves(connection, plan, source)
    statement, function = queries("capture")["truncate_trigger"], function_name("truncated", source)
    for leaf in leaves:  # a trigger for statements does not come with the parent's
        attach(connection, leaf["schema_name"], leaf["leaf"], "portal_capture_truncate", function, statement)
    first: dict[str, Any] = {"name": source, "states": [leaf["state"] for leaf in leaves]}
    connection.execute(queries("capture")["first_leaves"], first)


def _record(plan: Plan, catalog: Catalog, row: Concerned) -> Composable:
    return queries("capture")["record"].format(
        name=Literal(row.source), old=_array(plan, row, "OLD"), new=_array(plan, row, "NEW"), open=Literal(_open(plan, row)),
        old_tenant=belonging.tenant_of_watched(plan, row, catalog, "OLD"),
        new_tenant=belonging.tenant_of_watched(plan, row, catalog, "NEW"),
    )  # fmt: skip


def _try_tenant(connection: Connection[Any], plan: Plan, catalog: Catalog, row: Concerned) -> None:
    """Whose a row is must follow from the row, in a trigger. Raises PlanError."""
    source = row.watched
    whose = belonging.tenant_of_watched(plan, row, catalog, Identifier(source).as_string(connection))
    statement = SQL("SELECT {} FROM (SELECT (NULL::{}).*) AS {}")
    try:
        with connection.transaction():
            connection.execute(statement.format(whose, Identifier(plan.source_schema, source), Identifier(source)))
    except psycopg.Error as error:
        raise PlanError(
            f"Whose its rows are cannot be said by a trigger ({error.diag.message_primary or type(error).__name__}).",
            subject=source, todo="Let the tenant follow from the row's own columns, or run without capture.",
        ) from error  # fmt: skip


def keep_up(connection: Connection[Any], plan: Plan, catalog: Catalog) -> list[str]:
    """Look at tables whose partitions came or went since: nobody records rows that come or go with them. Returns which."""
    changed = []
    for source in plan.watched:
        about = {"name": source, "states": [leaf["state"] for leaf in _leaves(connection, plan, source)]}
        if connection.execute(queries("capture")["same_leaves"], about).fetchone() is None:
            patiently(connection, lambda source=source: _watch(connection, plan, catalog, source), source)  # type: ignore[misc]
            with connection.transaction():
                connection.execute(queries("capture")["remember_leaves"], about)
                for row in concerned(plan, source):
                    connection.execute("SELECT portal_capture.whole(%s)", [row.source])
            changed.append(source)
    return changed


def _leaves(connection: Connection[Any], plan: Plan, source: str) -> list[dict[str, Any]]:
    about = {"table": Identifier(plan.source_schema, source).as_string(connection)}
    return rows(connection, queries("capture")["leaves"], about)


def attach(connection: Connection[Any], schema: str, source: str, trigger: str, function: str, statement: SQL) -> None:
    """Create the trigger, unless it is there, fires always, and calls the function."""
    there = rows(connection, queries("capture")["watched"], {"schema": schema})
    if any(
        (r["table_name"], r["trigger"], r["function"], r["always"]) == (source, trigger, function, True) for r in there
    ):
        return
    table = Identifier(schema, source)
    connection.execute(SQL("DROP TRIGGER IF EXISTS {} ON {}").format(Identifier(trigger), table))
    connection.execute(statement.format(table=table, function=Identifier("portal_capture", function)))
    connection.execute(SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, Identifier(trigger)))


def function_name(kind: str, source: str) -> str:
    """PostgreSQL cuts long names: two tables that begin alike must not share a function."""
    name = f"{kind}_{source}"
    if len(name.encode()) <= 63:
        return name
    return f"{name.encode()[:50].decode(errors='ignore')}_{hashlib.sha256(source.encode()).hexdigest()[:10]}"


def settings_of(plan: Plan, catalog: Catalog, watched: str) -> Composable:
    """How a function for this table's rows works: it writes their keys and tenants alike in every session, and what it looks up
    it sees as we do, whatever the writer may read or has on its path.
    """
    settings: Composable = SQL("")
    types: set[str] = set()
    for row in concerned(plan, watched):
        types |= {catalog[watched].columns[name].type for name in row.link} | belonging.tenant_types(plan, row, catalog)
    if not types <= _PLAIN:
        settings += _PINNED
    if any(belonging.looked_up(plan, row, catalog) for row in concerned(plan, watched)):
        settings += SQL(" SECURITY DEFINER SET search_path TO {}, public, pg_temp").format(
            Identifier(plan.source_schema)
        )
    return settings


def _array(plan: Plan, rows: Concerned, row: str) -> Composable:
    """The key of the row or rows that `row` (OLD or NEW) is about; NULL in the parts that it does not say."""
    said = dict(zip(rows.key, rows.link, strict=True))
    texts = (
        SQL("{}.{}::text").format(compile.raw(row), Identifier(said[part])) if part in said else SQL("NULL::text")
        for part in plan.siblings(rows.source)[0].key
    )
    return SQL("ARRAY[{}]").format(SQL(", ").join(texts))


def _open(plan: Plan, rows: Concerned) -> int:
    """How many parts of the key a row does not say."""
    return len(plan.siblings(rows.source)[0].key) - len(rows.key)


def remove(connection: Connection[Any], schema: str) -> None:
    """Take triggers, functions, queue and schema away again, without a trace. Raises LockTimeout."""
    for table in watched(connection, schema):
        patiently(connection, lambda table=table: _release(connection, schema, table), table)  # type: ignore[misc]
    connection.execute("DROP SCHEMA IF EXISTS portal_capture CASCADE")


def _release(connection: Connection[Any], schema: str, table: str) -> None:
    for trigger in (*TRIGGERS, "portal_guard", "portal_guard_truncate"):
        statement = SQL("DROP TRIGGER IF EXISTS {} ON {}")
        connection.execute(statement.format(Identifier(trigger), Identifier(schema, table)))


def watched(connection: Connection[Any], schema: str) -> dict[str, set[str]]:
    """Per table with triggers of ours, those that fire always."""
    triggers: dict[str, set[str]] = {}
    for row in rows(connection, queries("capture")["watched"], {"schema": schema}):
        fire = triggers.setdefault(row["table_name"], set())
        if row["always"]:
            fire.add(row["trigger"])
    return triggers


def unwatched(connection: Connection[Any], plan: Plan) -> list[str]:
    """The plan's source tables whose changes nobody records."""
    there = watched(connection, plan.source_schema)
    return [source for source in plan.watched if not there.get(source, set()) >= set(TRIGGERS)]


def installed(connection: Connection[Any]) -> bool:
    return version(connection) > 0
