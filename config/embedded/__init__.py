"""PostgreSQL and Redis from wheels, for a machine that has neither.

The servers' data, ports and passwords live under one directory (``.portal/`` unless
``PORTAL_HOME`` says otherwise) and survive restarts. Nothing here imports Django:
the settings ask this package for URLs, and the starters below run before Django does.
"""

from __future__ import annotations

import fcntl
import signal
import subprocess
from dataclasses import dataclass

from config.embedded import postgres as postgres_server
from config.embedded import redis as redis_server
from config.embedded.postgres import STOP as STOP_POSTGRES
from config.embedded.settings import (
    DATABASES,
    PROJECT,
    EmbeddedError,
    Settings,
    database_url,
    home,
    redis_url,
    settings,
    user_url,
)

__all__ = [
    "DATABASES", "PROJECT", "STOP_POSTGRES", "EmbeddedError", "Servers", "Settings", "database_url", "home", "redis_url",
    "settings", "start", "user_url",
]  # fmt: skip


@dataclass
class Servers:
    """The running servers; those that were running already are left alone by `stop`."""

    postgres: subprocess.Popen[bytes] | None = None
    redis: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Stop what `start` started."""
        for process, signal_number in ((self.redis, signal.SIGTERM), (self.postgres, STOP_POSTGRES)):
            if process is not None and process.poll() is None:
                process.send_signal(signal_number)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def start(*, postgres: bool = True, redis: bool = True) -> Servers:
    """Start the embedded servers that are asked for, unless they run already; create the databases.

    Raises EmbeddedError with the end of the server's log when one does not come up.
    """
    home().mkdir(parents=True, exist_ok=True)
    servers = Servers()
    with (home() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if postgres:
                servers.postgres = postgres_server.start()
            if redis:
                servers.redis = redis_server.start()
        except BaseException:
            servers.stop()
            raise
    return servers
