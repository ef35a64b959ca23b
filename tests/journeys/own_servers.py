"""A portal with embedded servers that belong to one test, so that the test may kill them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any, Self

import psycopg

from config import embedded

_URLS = ("DATABASE_URL", "LEGACY_DATABASE_URL", "IAM_DATABASE_URL", "REDIS_URL", "PORTAL_HOME")


class OwnServers:
    """Embedded PostgreSQL and Redis in a directory of their own, and processes of the portal on them."""

    def __enter__(self) -> Self:
        self.home = tempfile.mkdtemp(prefix="portal-own-")
        os.chmod(self.home, 0o755)
        self.environment = {k: v for k, v in os.environ.items() if k not in _URLS} | {"PORTAL_HOME": self.home}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_servers()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.servers.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)

    @contextlib.contextmanager
    def _at_home(self) -> Any:
        before = os.environ.get("PORTAL_HOME")
        os.environ["PORTAL_HOME"] = self.home
        try:
            yield
        finally:
            if before is None:
                del os.environ["PORTAL_HOME"]
            else:
                os.environ["PORTAL_HOME"] = before

    def start_servers(self) -> None:
        with self._at_home():
            self.servers = embedded.start()

    def kill_servers(self) -> None:
        """SIGKILL to both servers and all their children: as a power cut."""
        for process in (self.servers.postgres, self.servers.redis):
            assert process is not None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=embedded.PROJECT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stack(self) -> None:
        """A worker and beat."""
        for arguments in (
            ["worker", "--without-mingle", "--without-gossip"],
            ["beat", "--pidfile=", "-s", f"{self.home}/beat"],
        ):
            command = [sys.executable, "-m", "celery", "-A", "config", *arguments]
            log = open(f"{self.home}/{arguments[0]}.log", "wb")  # noqa: SIM115 - the process keeps it
            self.processes.append(
                subprocess.Popen(
                    command, cwd=embedded.PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True
                )
            )

    def ask(self, database: str, statement: str) -> Any:
        """The first column of the first row, or 0 while the server is away."""
        with self._at_home():
            url = embedded.database_url(database)
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                return connection.execute(statement).fetchone()[0]
        except psycopg.Error:
            return 0

    def report(self) -> dict[str, Any]:
        return json.loads(self.manage("portal", "report", "1"))
