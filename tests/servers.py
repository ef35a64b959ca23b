"""The servers behind the tests: real PostgreSQL and Redis, embedded unless the environment names others.

Importing this starts them, once, in the process that starts the others; those inherit its environment.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg.sql import SQL, Identifier, Literal

from config import embedded

_ROOM = 8 << 30
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def _memory() -> str | None:
    """A file system in memory with room for the suite, where there is one: a database is made there seven times as fast."""
    place = Path("/dev/shm")
    if "PORTAL_TEST_USERS" in os.environ or not os.access(place, os.W_OK) or shutil.disk_usage(place).free < _ROOM:
        return None
    return str(place) if psutil.virtual_memory().available > _ROOM else None


def _cheap_password(server: psycopg.Connection[Any]) -> None:
    """Each of some hundred thousand connections would hash it 4,096 times."""
    if server.info.server_version >= 160000:
        parts = urlsplit(os.environ["PORTAL_TESTS_SERVER"])
        server.execute("SET scram_iterations = 1")
        role, password = Identifier(parts.username or ""), Literal(parts.password)
        server.execute(SQL("ALTER ROLE {} PASSWORD {}").format(role, password))


def _boot() -> None:
    """Start the servers once, in the process that starts the others; those inherit its environment."""
    if WORKER or "PORTAL_TESTS_SERVER" in os.environ:
        return
    home = tempfile.mkdtemp(prefix="portal-tests-", dir=os.environ.get("PORTAL_TESTS_DIR") or _memory())
    os.chmod(home, 0o755)  # PostgreSQL may run as somebody else
    os.environ["PORTAL_HOME"] = home
    servers = embedded.start()
    os.environ["PORTAL_TESTS_SERVER"] = embedded.database_url("postgres")
    os.environ["PORTAL_TESTS_REDIS"] = embedded.redis_url().rsplit("/", 1)[0]

    # Tests kill processes, never the machine: what the system holds in memory survives. A database a test is cheap then.
    with psycopg.connect(os.environ["PORTAL_TESTS_SERVER"], autocommit=True) as server:
        # Hundreds of databases, each of which would be looked after once a minute, live too short to need it.
        for setting in ("fsync", "full_page_writes", "autovacuum"):
            server.execute(SQL("ALTER SYSTEM SET {} = off").format(Identifier(setting)))
        server.execute("ALTER SYSTEM SET max_prepared_transactions = 20")
        _cheap_password(server)
    servers.stop()  # prepared transactions are allowed from the start or not at all
    servers = embedded.start()

    def stop() -> None:
        servers.stop()
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(stop)


_boot()
_NUMBER = int(WORKER.removeprefix("gw") or 0) + 1 if WORKER else 0
os.environ["REDIS_URL"] = f"{os.environ['PORTAL_TESTS_REDIS']}/{_NUMBER}"
# No server of the tests has either: nobody asks first.
os.environ |= {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
os.environ["BCRYPT_COST"] = "4"  # hundreds of sign-ins fail in tests, few of which are about how long that takes
os.environ["BACKUP_FRESH_HOURS"] = "0"  # most moves of tests are about something else
os.environ["APPROVALS"] = ""  # most tests of an action are about the action: tests/approvals asks for a second person
SERVER = os.environ["PORTAL_TESTS_SERVER"]


def url_of(name: str, server: str = SERVER) -> str:
    parts = urlsplit(server)
    return urlunsplit(parts._replace(path=f"/{name}"))


for _variable, _name in (("DATABASE_URL", "portal"), ("LEGACY_DATABASE_URL", "none"), ("IAM_DATABASE_URL", "none")):
    os.environ[_variable] = url_of(_name)


_kept: dict[str, psycopg.Connection[Any]] = {}


def on_server(statement: Any, server: str = SERVER) -> None:
    """By a session that is kept: six databases a test are made and dropped."""
    for _ in range(2):
        if server not in _kept or _kept[server].closed:
            _kept[server] = psycopg.connect(server, autocommit=True)
        try:
            _kept[server].execute(statement)
            return
        except psycopg.OperationalError:
            if not _kept[server].closed:
                raise  # else the server was restarted


def create(name: str, server: str, template: str = "template1") -> None:
    copy = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(Identifier(name), Identifier(template))
    on_server(copy, server)


def drop(name: str) -> None:
    on_server(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
