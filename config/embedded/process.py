"""Starting a server as a process of its own, waiting until it answers, and reading the end of its log."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.embedded.settings import EmbeddedError

START_SECONDS = 60.0


def spawn(command: list[str], log: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start a server in its own session, so that Ctrl-C reaches only us and we stop it in order."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
    identity: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with open(log, "ab", opener=for_us_alone) as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
            **identity,
        )


def for_us_alone(path: str, flags: int) -> int:
    """Open a log that nobody else may read; also one that an earlier version left open to others."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise EmbeddedError(f"{name} did not start. The end of {log}:\n{tail(log)}")


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"


def answers(port: int, greeting: bytes) -> bool:
    """Whether something listens on the loopback port; with a greeting, whether it says yes as Redis does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if not greeting:
                return True
            connection.sendall(greeting)
            return connection.recv(16)[:1] == b"+"
    except OSError:
        return False
