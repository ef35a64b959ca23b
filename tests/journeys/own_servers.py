"""A portal with embedded servers that belong to one test, so that the test may kill them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg

from config import embedded

_URLS = ("DATABASE_URL", "LEGACY_DATABASE_URL", "IAM_DATABASE_URL", "REDIS_URL", "PORTAL_HOME")


def _mounted(directory: str) -> bool:
    """Whether the directory is a file system of its own now, of the size that PORTAL_TEST_DISK asks for; only root can."""
    size = os.environ.get("PORTAL_TEST_DISK", "")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory]
    return bool(size) and subprocess.run(mount, capture_output=True, check=False).returncode == 0


class OwnServers:
    """Embedded PostgreSQL and Redis in a directory of their own, and processes of the portal on them."""

    def __enter__(self) -> Self:
        self.home = tempfile.mkdtemp(prefix="portal-own-")
        self.small_disk = _mounted(self.home)
        os.chmod(self.home, 0o755)
        self.environment = {k: v for k, v in os.environ.items() if k not in _URLS} | {"PORTAL_HOME": self.home}
        self.start_servers()
        return self

    def __exit__(self, *_: object) -> None:
        self.servers.stop()
        if self.small_disk:
            subprocess.run(["umount", "-l", self.home], check=True)
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
        self.kill_postgres()
        assert self.servers.redis is not None
        os.killpg(self.servers.redis.pid, signal.SIGKILL)
        self.servers.redis.wait()

    def kill_postgres(self) -> None:
        assert self.servers.postgres is not None
        with contextlib.suppress(ProcessLookupError):  # it may have given up by itself
            os.killpg(self.servers.postgres.pid, signal.SIGKILL)
        self.servers.postgres.wait()

    def restart_postgres(self) -> None:
        """SIGKILL and start again: what was committed is there, every connection is gone."""
        self.kill_postgres()
        with self._at_home():
            self.servers.postgres = embedded.start(redis=False).postgres

    def fill_the_disk(self, seconds: float) -> None:
        """No room for a while, neither for rows nor for the log: PostgreSQL may not survive that."""
        filler = Path(self.home) / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1_000_000)
        time.sleep(seconds)
        filler.unlink()
        assert self.servers.postgres is not None
        if self.servers.postgres.poll() is not None:
            self.restart_postgres()

    def url(self, database: str) -> str:
        with self._at_home():
            return embedded.database_url(database)

    def ask(self, database: str, statement: str) -> Any:
        """The first column of the first row, or 0 while the server is away."""
        try:
            with psycopg.connect(self.url(database), connect_timeout=2) as connection:
                return connection.execute(statement).fetchone()[0]
        except psycopg.Error:
            return 0
