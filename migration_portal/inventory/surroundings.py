"""What else pre-flight asks of the two servers: what runs there, who may do what, and what tables have that surprises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import Connection

from migration_portal.engine import triggers
from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import named
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Plan
from migration_portal.schema.apply import own_triggers

_QUERIES = named(Path(__file__).parent / "surroundings.sql")
_LONG_SECONDS = 60
_MOST_SKEW_SECONDS = 1.0
_ODD_KEYS = {"real", "double precision", "timestamp with time zone", "money", "interval", "bytea", "json", "xml"}
_LEGACY, _IAM = "legacy database", "IAM database"


def each(*checks: tuple[str, Callable[[], Iterable[Finding]]]) -> Iterator[Finding]:
    """Make every check, whatever becomes of the others: what a role may not see is a note, what fails is an error."""
    for subject, check in checks:
        try:
            yield from list(check())
        except psycopg.errors.InsufficientPrivilege as error:
            yield Finding(
                "info", subject, f"Not checked: the role may not look ({describe(error).what})",
                "Look yourself, or let a member of pg_monitor run the pre-flight.",
            )  # fmt: skip
        except psycopg.Error as error:
            named_error = describe(error, subject=subject)
            yield Finding("error", subject, f"The check failed: {named_error.what}", named_error.todo)


def surroundings(legacy: Connection[Any], iam: Connection[Any], plan: Plan, source: Catalog) -> Iterator[Finding]:
    """All of it. `source` is legacy's catalog."""
    theirs = {"schema": plan.source_schema, "tables": list(plan.watched)}
    ours = {"schema": plan.target_schema, "tables": [table.target for table in plan.tables]}
    yield from each(
        ("transactions", lambda: _transactions(legacy)),
        ("row-level security", lambda: _hidden_rows(_LEGACY, legacy, theirs)),
        ("row-level security", lambda: _hidden_rows(_IAM, iam, ours)),
        ("triggers", lambda: _triggers(legacy, iam, plan)),
        ("columns", lambda: _columns(legacy, iam, plan, theirs, ours)),
        ("partitions", lambda: _partitions(legacy, theirs)),
        ("keys", lambda: _keys(plan, source)),
        ("role settings", lambda: _role_settings(_LEGACY, legacy)),
        ("role settings", lambda: _role_settings(_IAM, iam)),
        (_LEGACY, lambda: _server(_LEGACY, legacy)),
        (_IAM, lambda: _server(_IAM, iam)),
        ("collations", lambda: _collations(legacy, iam)),
    )


def _ask(connection: Connection[Any], name: str, about: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with connection.transaction():
        return rows(connection, _QUERIES[name], about)


def _transactions(legacy: Connection[Any]) -> Iterator[Finding]:
    for row in _ask(legacy, "long_transactions"):
        yield Finding(
            "warning", _LEGACY,
            f"Session {row['pid']} of {row['role']} ({row['application'] or 'unnamed'}) has been in a transaction for "
            f"{row['seconds']:.0f} s.",
            "Capture waits for it, and so does every move: end it first.",
        )  # fmt: skip
    for row in _ask(legacy, "prepared"):
        yield Finding(
            "warning", _LEGACY, f"The prepared transaction {row['gid']} of {row['owner']} is {row['seconds']:.0f} s old.",
            "Commit it or roll it back: capture and moves wait for it.",
        )  # fmt: skip


def _hidden_rows(side: str, connection: Connection[Any], about: dict[str, Any]) -> Iterator[Finding]:
    for row in _ask(connection, "hidden_rows", about):
        if row["active"]:
            yield Finding(
                "error", row["table_name"], f"Row-level security hides rows of it from our role ({side}).",
                "ALTER ROLE … BYPASSRLS for the role in the database URL.",
            )  # fmt: skip
        else:
            yield Finding("info", row["table_name"], f"It has row-level security; our role sees every row ({side}).")


def _triggers(legacy: Connection[Any], iam: Connection[Any], plan: Plan) -> Iterator[Finding]:
    with legacy.transaction():
        back = replace(
            plan,
            target_schema=plan.source_schema,
            tables=tuple(replace(t, target=name) for t in plan.tables for name in t.back_into),
        )
        theirs, silent = triggers.with_triggers(legacy, back), triggers.may_silence(legacy)
    for table, names in theirs.items():
        if silent:
            yield Finding(
                "info", table, f"Its triggers are passed over when a tenant's rows are brought back: {names}."
            )
        else:
            yield Finding(
                "warning", table, f"Its triggers fire when a tenant's rows are brought back: {names}.",
                "One that changes a row makes it differ for good, and the tenant cannot be reversed. Let our role pass over them: "
                "GRANT SET ON PARAMETER session_replication_role TO the role in LEGACY_DATABASE_URL (PostgreSQL 15 or later).",
            )  # fmt: skip
    for table, names in triggers.with_triggers(iam, plan, but=own_triggers()).items():
        yield Finding(
            "warning", table, f"Its triggers fire for every row that is copied: {names}.",
            "Disable those that change rows or send something until the tenants are cut over.",
        )  # fmt: skip


def _columns(
    legacy: Connection[Any], iam: Connection[Any], plan: Plan, theirs: dict[str, Any], ours: dict[str, Any]
) -> Iterator[Finding]:
    mapped = {(t.target, c.name) for t in plan.tables for c in t.columns}
    reversed_ = {(t.source, c.name) for t in plan.tables for c in t.reverse}
    reversed_ |= {(read.source, c.name) for t in plan.tables for read in t.reads for c in read.reverse}
    # One sequence counts for both sides.
    numbered = {(t.source, c.name) for t in plan.tables for c in t.reverse if c.number}
    for connection, about, filled in ((iam, ours, mapped), (legacy, theirs, reversed_)):
        for row in _ask(connection, "odd_columns", about):
            place = (row["table_name"], row["column_name"])
            if place not in filled:
                continue
            if row["generated"]:
                yield Finding(
                    "error", ".".join(place), "Its server computes it: nobody can write it.", "Take it out of the plan."
                )
            elif row["sequence"] and place not in numbered:
                yield Finding(
                    "warning", ".".join(place), f"It counts by {row['sequence']}, on this side alone.",
                    "While tenants live on both sides, let one count odd and the other even: ALTER SEQUENCE … INCREMENT BY 2.",
                )  # fmt: skip


def _partitions(legacy: Connection[Any], about: dict[str, Any]) -> Iterator[Finding]:
    for row in _ask(legacy, "partitioned", about):
        yield Finding(
            "info", row["table_name"], f"It is partitioned, and {row['owner']} owns it; new partitions are captured, too.",
            "Only the owner may attach one: our triggers come with it.",
        )  # fmt: skip


def _keys(plan: Plan, source: Catalog) -> Iterator[Finding]:
    for table in plan.tables:
        types = {
            source[table.source].columns[k].type
            for k in table.key
            if table.source in source and k in source[table.source].columns
        }
        if odd := types & _ODD_KEYS:
            yield Finding(
                "info", table.source, f"Sessions write its key in different ways ({', '.join(sorted(odd))}).",
                "Nothing to do: its trigger pins how it is written.",
            )  # fmt: skip


def _role_settings(side: str, connection: Connection[Any]) -> Iterator[Finding]:
    if found := sorted({row["setting"].split("=")[0] for row in _ask(connection, "role_settings")}):
        yield Finding("info", side, f"The role or the database sets {', '.join(found)}; our sessions pin what matters.")


def _server(side: str, connection: Connection[Any]) -> Iterator[Finding]:
    before = time.time()
    row = _ask(connection, "server")[0]
    skew = row["clock"] - (before + time.time()) / 2
    if row["standby"]:
        yield Finding("error", side, "It is a standby: nothing can be written.", "Point the URL at the primary.")
    if row["standbys"]:
        yield Finding("info", side, f"Standbys follow it: {row['standbys']}. A run pauses while they lag.")
    needed = 6 * settings.RUN_WORKERS + 10
    if row["free"] < needed:
        yield Finding(
            "warning", side, f"{row['free']} more connections fit; workers, loops and the console may need {needed}.",
            "Raise max_connections, or lower RUN_WORKERS.",
        )  # fmt: skip
    if abs(skew) > _MOST_SKEW_SECONDS:
        yield Finding(
            "warning", side, f"Its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} ours.",
            "Let NTP set both. Holds and leases go by one database's clock, times in reports by several.",
        )  # fmt: skip


def _collations(legacy: Connection[Any], iam: Connection[Any]) -> Iterator[Finding]:
    one, other = (_ask(connection, "server")[0]["collation"] for connection in (legacy, iam))
    if one != other:
        yield Finding(
            "info", "collations", f"Legacy sorts by {one}, the IAM by {other}: lists may come in another order."
        )
