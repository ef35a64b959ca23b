"""The only place that opens connections to the legacy and IAM databases.

Every session says who it is (application_name), gives up on a silent network, speaks UTF-8, and pins the settings
that change what it reads, writes or waits for. A session that did not get them, as behind a pooler, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import DatabaseError, connections
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from migration_portal.engine.errors import PoolerInBetween, WrongEncoding, WrongVersion, describe
from migration_portal.refusal import Refusal
from migration_portal.silence import waited_for_once

OLDEST = 140000
"""PostgreSQL 14: hash_record_extended, and scans of block ranges."""
_OPTIONS: dict[str, Any] = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_PINNED = {
    # Text is comparable between servers only when both write it alike.
    "timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "extra_float_digits": "1",
    "bytea_output": "hex", "standard_conforming_strings": "on",
    # A hidden row must be an error: read through, it would look deleted.
    "row_security": "off",
    # What a role or a database sets for its applications is not meant for hours of copying.
    "statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0", "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off", "default_transaction_deferrable": "off", "search_path": "public",
    # Who waits for somebody's lock says so in time, and tries again: a TRUNCATE left open keeps even readers out.
    "lock_timeout": "20s",
    # A chunk (about 25 MB) is sorted in memory.
    "jit": "off", "work_mem": "64MB",
}  # fmt: skip
"""Settings of every session, whatever the server, the database and the role say."""
_SINCE = {"transaction_timeout": (170000, "0")}
"""Settings that only newer servers know, with the version they came in."""

_APPLYING = {"portal.applying": "on"}
"""What we copy from one side to the other is not captured there, and passes its guard."""


def legacy(purpose: str) -> Connection[Any]:
    """A read-only session on the legacy database; each transaction is one snapshot. Raises DatabaseUnreachable, WrongVersion."""
    connection = _connect(settings.LEGACY_DATABASE_URL, f"sigma-transit {purpose}", "legacy database")
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def legacy_writable(purpose: str) -> Connection[Any]:
    """A session that may write to the legacy database, for the sample and for capture. Raises DatabaseUnreachable, WrongVersion."""
    return _connect(settings.LEGACY_DATABASE_URL, f"sigma-transit {purpose}", "legacy database")


def legacy_applying(purpose: str) -> Connection[Any]:
    """A session that brings rows back to legacy: what it writes is not captured. Raises DatabaseUnreachable, WrongVersion."""
    return _connect(settings.LEGACY_DATABASE_URL, f"sigma-transit {purpose}", "legacy database", _APPLYING)


def iam(purpose: str) -> Connection[Any]:
    """A session on the IAM database; what it writes is not captured. Raises DatabaseUnreachable, WrongVersion."""
    return _connect(settings.IAM_DATABASE_URL, f"sigma-transit {purpose}", "IAM database", _APPLYING)


def iam_source(purpose: str) -> Connection[Any]:
    """A read-only session on the IAM; each transaction is one snapshot: reverse reads here."""
    connection = _connect(settings.IAM_DATABASE_URL, f"sigma-transit {purpose}", "IAM database")
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def of_side(side: str, purpose: str, *, database: str = "") -> Connection[Any]:
    """A session on the database of `legacy`, `iam` or `portal`, as its owner, or on another one of the same server."""
    return _connect(url_of(side, database=database), f"sigma-transit {purpose}", f"{side} database", _APPLYING)


def of_url(url: str, purpose: str) -> Connection[Any]:
    """A session on a database that is nobody's side: a scratch one, or one that was restored."""
    return _connect(url, f"sigma-transit {purpose}", "database", _APPLYING)


def url_of(side: str, *, database: str = "") -> str:
    """How to connect to the side's database, or to another one of its server."""
    if side == "portal":
        portal = settings.DATABASE_OWNER or connections["default"].settings_dict
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
        given = {ours: portal[theirs] for ours, theirs in names.items() if portal.get(theirs)}
        tls = {name: value for name, value in portal.get("OPTIONS", {}).items() if name.startswith("ssl")}
        url = make_conninfo("", **given, **tls)
    else:
        url = {"legacy": settings.LEGACY_DATABASE_URL, "iam": settings.IAM_DATABASE_URL}[side]
    return make_conninfo(url, dbname=database) if database else url


def _connect(url: str, application_name: str, subject: str, more: Mapping[str, str] | None = None) -> Connection[Any]:
    pinned = {**_PINNED, **(more or {})}
    options = " ".join(f"-c {name}={_escaped(value)}" for name, value in pinned.items())
    name = application_name[:63]
    try:
        with waited_for_once(without_password(url)):
            connection = psycopg.connect(
                url, autocommit=True, application_name=name, client_encoding="UTF8", options=options,
                connect_timeout=settings.DATABASE_CONNECT_SECONDS, **_OPTIONS,
            )  # type: ignore[arg-type]  # fmt: skip
    except psycopg.Error as error:
        where = f"{subject} ({without_password(url)})"
        if "startup parameter" in str(error):
            raise _pooled(where, "it refuses the settings of our sessions") from None
        raise describe(error, subject=where) from None
    try:
        _admit(connection, subject, pinned)
    except psycopg.Error as error:
        connection.close()
        raise describe(error, subject=subject) from None
    except Refusal:
        connection.close()
        raise
    return connection


def _escaped(value: str) -> str:
    return value.replace(" ", "\\ ")


def _admit(connection: Connection[Any], subject: str, pinned: Mapping[str, str]) -> None:
    """Raises Refusal for a server that we cannot work with, or a session that is not as it was asked for."""
    version = connection.info.server_version
    if version < OLDEST:
        raise WrongVersion(
            f"It runs PostgreSQL {version // 10000}.", subject=subject,
            todo=f"PostgreSQL {OLDEST // 10000} or later is needed.",
        )  # fmt: skip
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise WrongEncoding(
            "Its encoding is SQL_ASCII: nobody can say which characters its bytes are.", subject=subject,
            todo="Find out which encoding its clients write, restore a dump into a database created with that encoding, "
            "and point the URL there.",
        )  # fmt: skip
    shown = [f"current_setting('{name}', true)" for name in pinned]
    later = [f"set_config('{name}', '{value}', false)" for name, (since, value) in _SINCE.items() if version >= since]
    row = connection.execute(f"SELECT {', '.join(shown + later)}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    for (name, wanted), value in zip(pinned.items(), row, strict=False):
        if value != wanted:
            raise _pooled(subject, f"{name} is {value} where {wanted} was asked for")


def _pooled(subject: str, why: str) -> PoolerInBetween:
    return PoolerInBetween(
        f"A connection pooler is in between: {why}.", subject=subject,
        todo="Point the URL at the PostgreSQL server itself; a pooler in transaction mode would also lose locks and settings.",
    )  # fmt: skip


def enter(connection: Connection[Any], schema: str) -> None:
    """Let a plan's expressions name what is in their schema without naming the schema."""
    connection.execute(SQL("SET search_path TO {}, public").format(Identifier(schema)))


@contextmanager
def both(purpose: str) -> Iterator[tuple[Connection[Any], Connection[Any]]]:
    """Sessions on legacy and IAM, closed at the end."""
    with legacy(purpose) as theirs, iam(purpose) as ours:
        yield theirs, ours


def words(error: DatabaseError | psycopg.Error | Refusal) -> str:
    """What a screen says of a question that was not answered, whether Django or we had asked it."""
    cause, subject = error, ""
    if isinstance(error, DatabaseError) and isinstance(error.__cause__, psycopg.Error):
        failed = [each.alias for each in connections.all(initialized_only=True) if each.errors_occurred]
        cause, subject = error.__cause__, _OURS[failed[0]] if len(failed) == 1 else ""
    return str(describe(cause, subject=subject) if isinstance(cause, psycopg.Error) else cause)


_OURS = {"default": "the portal's own database", "iam": "the IAM's database"}
"""What Django calls them."""


def without_password(url: str) -> str:
    """The URL, or libpq's list of settings, as it may be shown."""
    if "://" not in url:
        given = conninfo_to_dict(url)
        return " ".join(f"{name}={given[name]}" for name in ("host", "port", "dbname", "user") if given.get(name))
    parts = urlsplit(url)
    place = parts.hostname or "local socket"
    if parts.port:
        place += f":{parts.port}"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{place}{parts.path}"


class IamRouter:
    """Models that say `database = "iam"` are read and written there; Django migrates only the portal's own database."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return getattr(model, "database", None)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return getattr(model, "database", None)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "default"
