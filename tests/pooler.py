"""PgBouncer in transaction mode before a database."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.world import eventually

installed = pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed")


@contextlib.contextmanager
def pooler(url: str, home: Path, *, ignored: str) -> Iterator[str]:
    """`ignored` are the start-up parameters that it drops instead of refusing them. Yields its URL."""
    server = urlsplit(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "users").write_text(f'"{server.username}" "{server.password}"\n')
    (home / "pgbouncer.ini").write_text(
        f"[databases]\n{server.path[1:]} = host={server.hostname} port={server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = transaction\n"
        f"auth_type = plain\nauth_file = {home}/users\nignore_startup_parameters = {ignored}\n"
        f"logfile = {home}/log\npidfile =\n"
    )
    for path in (home, *home.iterdir()):
        path.chmod(0o777)
    as_user = ["-u", "nobody"] if Path("/proc/self").owner() == "root" else []
    for parent in home.parents:
        if parent.owner() == Path("/proc/self").owner() and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o111)
    process = subprocess.Popen(["pgbouncer", *as_user, "-q", str(home / "pgbouncer.ini")])

    def up() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return process.poll() is not None

    try:
        eventually(up)
        assert process.poll() is None
        yield server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{port}").geturl()
    finally:
        process.terminate()
        process.wait()
