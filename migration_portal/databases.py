"""The only place that opens connections to the legacy and IAM databases.

Every session says who it is (application_name), gives up on a silent network, and shows dates
and numbers the same way, so that text is comparable between servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from psycopg import Connection, IsolationLevel

from migration_portal.engine.errors import WrongVersion, describe

OLDEST = 140000
"""PostgreSQL 14: hash_record_extended, and scans of block ranges."""
_OPTIONS: dict[str, Any] = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# A chunk (about 25 MB) is sorted in memory.
_SESSION = (
    "-c timezone=UTC -c datestyle=ISO,MDY -c intervalstyle=postgres -c extra_float_digits=1 -c jit=off -c work_mem=64MB"
)

_APPLYING = " -c portal.applying=on"
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


def _connect(url: str, application_name: str, subject: str, more: str = "") -> Connection[Any]:
    try:
        connection = psycopg.connect(
            url, autocommit=True, application_name=application_name[:63], options=_SESSION + more, **_OPTIONS
        )  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise describe(error, subject=f"{subject} ({without_password(url)})") from None
    version = connection.info.server_version
    if version < OLDEST:
        connection.close()
        raise WrongVersion(
            f"It runs PostgreSQL {version // 10000}.", subject=subject,
            todo=f"PostgreSQL {OLDEST // 10000} or later is needed.",
        )  # fmt: skip
    return connection


@contextmanager
def both(purpose: str) -> Iterator[tuple[Connection[Any], Connection[Any]]]:
    """Sessions on legacy and IAM, closed at the end."""
    with legacy(purpose) as theirs, iam(purpose) as ours:
        yield theirs, ours


def without_password(url: str) -> str:
    """The URL as it may be shown."""
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
