"""Another PostgreSQL server, of a version and with settings of its own: to fail over to, or that a test may stop."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg

from config.embedded import postgres
from config.embedded.process import spawn, wait_for


class AnotherServer:
    """`version` is a major version, None for any; `standby_of` another one's `url`, whose data it copies and follows.

    Raises EmbeddedError where there are no such binaries.
    """

    def __init__(self, version: int | None = None, *, standby_of: str = "", **settings: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="portal-server-"))
        self._home.chmod(0o755)
        self._user = postgres.server_user()
        self._binaries = postgres._within_reach(postgres.find(version), self._home, self._user)
        self._standby_of, self._settings = standby_of, settings
        self._data, self._log = self._home / "data", self._home / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgresql://portal@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(self._data, self._user.pw_uid, self._user.pw_gid)
        if self._standby_of:
            self._run(
                "pg_basebackup", "-D", str(self._data), "-d", self._standby_of, "-R", "-c", "fast", "-X", "stream"
            )
        else:
            self._run("initdb", "-D", str(self._data), "-U", "portal", "-E", "UTF8", "--locale=C", "--auth=trust", "-N")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def start(self) -> None:
        wanted = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "100",
        } | self._settings  # fmt: skip
        options = [part for name, value in wanted.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries.directory / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        self._process = spawn(command, self._log, self._user)
        wait_for(self._process, self._answers, self._log, "PostgreSQL")

    def kill(self) -> None:
        """As a power cut."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def promote(self) -> None:
        """Let a standby take over."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute("SELECT pg_promote(true, 30)")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, tool: str, *arguments: str) -> None:
        process = spawn([str(self._binaries.directory / tool), *arguments], self._log, self._user)
        if process.wait(60) != 0:
            raise subprocess.SubprocessError(f"{tool}: {self._log.read_text()[-1000:]}")
