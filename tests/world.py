"""A portal, a legacy and an IAM database, and the processes a test starts on them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from config import embedded
from tests.servers import SERVER, url_of


@dataclass
class World:
    """A portal, a legacy and an IAM database, and the processes a test starts on them."""

    name: str
    server: str = SERVER
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sessions: dict[tuple[int, str], psycopg.Connection[Any]] = field(default_factory=dict)
    """Those that `sql` keeps, by thread and database."""

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
            "CELERY_SKIP_CHECKS": "1",  # they take a quarter of a worker's start, and are a gate of their own
        }

    def legacy(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("legacy"), autocommit=True)

    def iam(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("iam"), autocommit=True)

    def portal(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("portal"), autocommit=True)

    def sql(self, database: str, *statements: str, arguments: Sequence[Any] = ()) -> Any:
        """Execute in one transaction, by a session that is kept: connecting costs more than most statements of tests.

        `arguments` are of the last statement; returns its rows, or how many it wrote.
        """
        kept = threading.get_ident(), database
        for _ in range(2):
            if kept not in self.sessions or self.sessions[kept].closed:
                self.sessions[kept] = getattr(self, database)()
                self.sessions[kept].prepare_threshold = None  # tests change what a statement returns
            session = self.sessions[kept]
            try:
                with session.transaction() if statements[1:] else contextlib.nullcontext():
                    for statement in statements[:-1]:
                        session.execute(statement)
                    cursor = session.execute(statements[-1], arguments)
                    return cursor.rowcount if cursor.rownumber is None else cursor.fetchall()
            except psycopg.OperationalError:
                if not session.closed:
                    raise  # else the server was restarted, or the database restored
        raise AssertionError(f"{self.name}_{database} ends each session.")

    def hang_up(self) -> None:
        """Close the sessions that `sql` keeps: a database that is used cannot be cloned."""
        while self.sessions:
            self.sessions.popitem()[1].close()

    def sample(self, users: int = 400, tenants: int = 10, rate: float = 0.01, flavour: str = "documented") -> Any:
        """Fill the legacy database. Returns the Dirt that says what must come of it."""
        from migration_portal.sample.dirt import FLAVOURS
        from migration_portal.sample.fill import fill

        dirt = FLAVOURS[flavour](users, tenants, rate)
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

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        celery = ("-m", "celery", "-A", "config", "worker", "--without-mingle", "--without-gossip", "-l", "INFO")
        return self.spawn(*celery, **environment)

    def follower(self, **environment: str) -> subprocess.Popen[bytes]:
        """A worker of the loops: catch-up both ways, and cut-over."""
        celery = ("-m", "celery", "-A", "config", "worker", "--without-mingle", "--without-gossip")
        return self.spawn(*celery, "-Q", "follow", "--concurrency", "3", **environment)

    def operator(self, **environment: str) -> subprocess.Popen[bytes]:
        """A worker of what takes its time or watches: backups, monitoring, the decision matrix."""
        celery = ("-m", "celery", "-A", "config", "worker", "--without-mingle", "--without-gossip")
        return self.spawn(*celery, "-Q", "operate", "--concurrency", "2", **environment)

    def site(self, **environment: str) -> str:
        """The web server on these databases. Returns its URL, which is also its OAuth issuer."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        place = url.removeprefix("http://")
        self.spawn("-m", "config.serve", "--bind", place, **({"ISSUER": url} | environment))

        def up() -> bool:
            try:
                return bool(urllib.request.urlopen(f"{url}/health/ready", timeout=2).status == 200)
            except (urllib.error.URLError, OSError):
                return False

        eventually(up)
        return url

    def beat(self, **environment: str) -> subprocess.Popen[bytes]:
        schedule = Path(os.environ["PORTAL_HOME"]) / f"{self.name}-beat-{len(self.processes)}"
        return self.spawn("-m", "celery", "-A", "config", "beat", "--pidfile=", "-s", str(schedule), **environment)

    def stop(self) -> None:
        self.hang_up()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
        self.processes.clear()


def eventually(condition: Any, seconds: float = 60.0, every: float = 0.1) -> Any:
    """Wait until `condition()` is true and return what it returned; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"Not within {seconds} s: {condition}")
