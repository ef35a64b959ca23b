"""The servers behind the tests, as a pytest plugin that is loaded before Django reads its settings.

Real PostgreSQL and Redis, embedded unless the environment names others; each test that asks for
`world` gets databases of its own, cloned from templates in some fifty milliseconds.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from config import embedded

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def _boot() -> None:
    """Start the servers once, in the process that starts the others; those inherit its environment."""
    if WORKER or "PORTAL_TESTS_SERVER" in os.environ:
        return
    home = tempfile.mkdtemp(prefix="portal-tests-", dir=os.environ.get("PORTAL_TESTS_DIR"))
    os.chmod(home, 0o755)  # PostgreSQL may run as somebody else
    os.environ["PORTAL_HOME"] = home
    servers = embedded.start()
    os.environ["PORTAL_TESTS_SERVER"] = embedded.database_url("postgres")
    os.environ["PORTAL_TESTS_REDIS"] = embedded.redis_url().rsplit("/", 1)[0]

    # Tests kill processes, never the machine: what the system holds in memory survives. A database a test is cheap then.
    with psycopg.connect(os.environ["PORTAL_TESTS_SERVER"], autocommit=True) as server:
        for setting in ("fsync", "full_page_writes"):
            server.execute(SQL("ALTER SYSTEM SET {} = off").format(Identifier(setting)))
        server.execute("SELECT pg_reload_conf()")

    def stop() -> None:
        servers.stop()
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(stop)


_boot()
_NUMBER = int(WORKER.removeprefix("gw") or 0) + 1 if WORKER else 0
os.environ["REDIS_URL"] = f"{os.environ['PORTAL_TESTS_REDIS']}/{_NUMBER}"
SERVER = os.environ["PORTAL_TESTS_SERVER"]


def url_of(name: str, server: str = SERVER) -> str:
    parts = urlsplit(server)
    return urlunsplit(parts._replace(path=f"/{name}"))


for _variable, _name in (("DATABASE_URL", "portal"), ("LEGACY_DATABASE_URL", "none"), ("IAM_DATABASE_URL", "none")):
    os.environ[_variable] = url_of(_name)


def on_server(statement: Any, server: str = SERVER) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def create(name: str, server: str, template: str = "template1") -> None:
    copy = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(Identifier(name), Identifier(template))
    on_server(copy, server)


def drop(name: str) -> None:
    on_server(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


@dataclass
class World:
    """A portal, a legacy and an IAM database, and the processes a test starts on them."""

    name: str
    server: str = SERVER
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def url(self, database: str) -> str:
        """Of `portal`, `legacy` or `iam`."""
        return url_of(f"{self.name}_{database}", self.server)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": self.url("portal"),
            "LEGACY_DATABASE_URL": self.url("legacy"),
            "IAM_DATABASE_URL": self.url("iam"),
        }

    def legacy(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("legacy"), autocommit=True)

    def iam(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("iam"), autocommit=True)

    def portal(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("portal"), autocommit=True)

    def sample(self, users: int = 400, tenants: int = 10, rate: float = 0.01) -> Any:
        """Fill the legacy database. Returns the Dirt that says what must come of it."""
        from migration_portal.sample.dirt import Dirt
        from migration_portal.sample.fill import fill

        dirt = Dirt(users, tenants, rate)
        with self.legacy() as legacy:
            fill(legacy, dirt, seed=1)
        return dirt

    def spawn(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process of the portal on these databases, in a session of its own so that it can be killed whole."""
        log = Path(os.environ["PORTAL_HOME"]) / f"{self.name}-{len(self.processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=embedded.PROJECT,
                env=self.environment | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        return self.spawn(
            "-m", "celery", "-A", "config", "worker", "--without-mingle", "--without-gossip", "-l", "INFO"
        )

    def follower(self) -> subprocess.Popen[bytes]:
        """A worker of the loops: catch-up both ways, and cut-over."""
        queue = ("-Q", "follow", "--concurrency", "3")
        return self.spawn("-m", "celery", "-A", "config", "worker", "--without-mingle", "--without-gossip", *queue)

    def site(self, **environment: str) -> str:
        """Gunicorn on these databases. Returns its URL, which is also its OAuth issuer."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        place = url.removeprefix("http://")
        gunicorn = ("-m", "gunicorn", "config.wsgi", "--bind", place, "--threads", "4", "--no-control-socket")
        self.spawn(*gunicorn, **({"ISSUER": url} | environment))

        def up() -> bool:
            try:
                return bool(urllib.request.urlopen(f"{url}/health/ready", timeout=2).status == 200)
            except (urllib.error.URLError, OSError):
                return False

        eventually(up)
        return url

    def beat(self) -> subprocess.Popen[bytes]:
        schedule = Path(os.environ["PORTAL_HOME"]) / f"{self.name}-beat"
        return self.spawn("-m", "celery", "-A", "config", "beat", "--pidfile=", "-s", str(schedule))

    def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
        self.processes.clear()


def make_templates(portal: str, iam: str, server: str = SERVER) -> None:
    """A migrated portal database and an IAM database with its schema applied, to clone from."""
    from django.core.management import call_command

    from migration_portal.engine import ledger
    from migration_portal.schema import apply, scripts

    for name in (portal, iam):
        create(name, server)
    _point(portal, "postgres", iam, server)
    call_command("migrate", verbosity=0)
    with psycopg.connect(url_of(iam, server), autocommit=True) as connection:
        ledger.install(connection)
        scripts.apply(connection, scripts.read(apply.DIRECTORY), by="test")
    _close()


@pytest.fixture(scope="session")
def templates(django_db_blocker: Any) -> tuple[str, str]:
    """Names of the templates on the common server."""
    names = f"template_{WORKER}_portal", f"template_{WORKER}_iam"
    with django_db_blocker.unblock():
        for name in names:
            drop(name)
        make_templates(*names)
    return names


_count = itertools.count()


@contextlib.contextmanager
def inhabited(world: World, portal: str, iam: str) -> Iterator[World]:
    """Create the world's databases from the templates and point this process at them; its processes end with it."""
    import redis

    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()
    names = [f"{world.name}_portal", f"{world.name}_legacy", f"{world.name}_iam"]
    for name, template in zip(names, (portal, "template1", iam), strict=True):
        create(name, world.server, template)
    _point(*names, world.server)
    try:
        yield world
    finally:
        world.stop()
        _close()


@pytest.fixture
def world(templates: tuple[str, str], django_db_blocker: Any) -> Iterator[World]:
    """Databases of its own: the portal migrated, the IAM's schema applied, legacy empty."""
    made = World(f"world_{WORKER}_{next(_count)}")
    with django_db_blocker.unblock():
        with inhabited(made, *templates):
            yield made
        for database in ("portal", "legacy", "iam"):
            drop(f"{made.name}_{database}")


@pytest.fixture(scope="session")
def common_world(templates: tuple[str, str], django_db_blocker: Any) -> Iterator[World]:
    made = World(f"common_{WORKER}")
    with django_db_blocker.unblock():
        for database in ("portal", "legacy", "iam"):
            drop(f"{made.name}_{database}")
        with inhabited(made, *templates):
            yield made


@pytest.fixture
def rolled_back(common_world: World, django_db_blocker: Any) -> Iterator[World]:
    """One world for all tests that start no processes and no threads: what each writes is rolled back."""
    import redis
    from django.db import transaction

    from flags.evaluate import definitions

    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()
    with django_db_blocker.unblock():
        _point(*(f"{common_world.name}_{database}" for database in ("portal", "legacy", "iam")))
        with transaction.atomic(), transaction.atomic(using="iam"):
            definitions(fresh=True)
            yield common_world
            transaction.set_rollback(True)
            transaction.set_rollback(True, using="iam")
        _close()


def _point(portal: str, legacy: str, iam: str, server: str = SERVER) -> None:
    from django.conf import settings
    from django.db import connections

    settings.LEGACY_DATABASE_URL, settings.IAM_DATABASE_URL = url_of(legacy, server), url_of(iam, server)
    for alias, name in (("default", portal), ("iam", iam)):
        connections[alias].close()
        connections[alias].settings_dict |= {"NAME": name, **_address(server)}


def _address(server: str) -> dict[str, Any]:
    parts = urlsplit(server)
    return {"HOST": parts.hostname, "PORT": parts.port, "USER": parts.username, "PASSWORD": parts.password}


def _close() -> None:
    from django.db import connections

    for connection in connections.all():
        connection.close()


def eventually(condition: Any, seconds: float = 60.0, every: float = 0.1) -> Any:
    """Wait until `condition()` is true and return what it returned; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"Not within {seconds} s: {condition}")
