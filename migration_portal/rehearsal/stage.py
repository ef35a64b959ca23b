"""The stage of a rehearsal: three databases of its own on the scratch server, and the environment of what plays there.

What runs there is the product itself, in processes of its own: it knows no database but these, no broker, no legacy service and
nobody to alert.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from migration_portal import databases
from migration_portal.backups import scratch
from migration_portal.backups.models import Side
from migration_portal.refusal import Refusal
from migration_portal.rehearsal.figures import QUERIES
from migration_portal.rehearsal.models import Rehearsal

PREFIX = "rehearsal_"
"""How the names of its databases begin: what plays there touches no other."""
_NOWHERE = "127.0.0.1:1"
_SECONDS = 20
_TOLD = 4000


def database(rehearsal: Rehearsal, side: str) -> str:
    """Two portals on one server have rehearsals of the same number, and backups of different places."""
    return f"{PREFIX}{rehearsal.pk}_{rehearsal.backup.place.rpartition('-')[2]}_{side}"


@contextmanager
def built(rehearsal: Rehearsal) -> Iterator[None]:
    """Three empty databases, like those of the sides, until the end of the block. Raises Refusal, psycopg.Error."""
    with scratch.server_of(Side.LEGACY, scratch=True) as server:
        for side in Side.values:
            scratch.drop(server, database(rehearsal, side), what=_what(rehearsal))  # of an attempt that died
        legacy = scratch.name_of(Side.LEGACY)
        scratch.create(server, database(rehearsal, Side.LEGACY), like=legacy, side=Side.LEGACY, what=_what(rehearsal))
        for side in (Side.IAM, Side.PORTAL):  # as this server can make them, which may not be theirs
            scratch.create_plain(server, database(rehearsal, side), what=_what(rehearsal))
    try:
        yield
    finally:
        with scratch.server_of(Side.LEGACY, scratch=True) as server:
            for side in Side.values:
                scratch.drop(server, database(rehearsal, side), what=_what(rehearsal))


def _what(rehearsal: Rehearsal) -> str:
    return f"scratch of rehearsal {rehearsal.pk}"


def url(rehearsal: Rehearsal, side: str) -> str:
    return scratch.url_in(Side.LEGACY, database(rehearsal, side), scratch=True)


def quieten(rehearsal: Rehearsal) -> None:
    """Take away what production's run has left in the backup; switch legacy's own triggers off: what they call may be real."""
    with databases.of_url(url(rehearsal, Side.LEGACY), "rehearsal") as legacy:
        legacy.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier("portal_capture")))
        for schema, table in legacy.execute(QUERIES["with_triggers"]).fetchall():
            legacy.execute(SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(Identifier(schema, table)))


def play(rehearsal: Rehearsal, arguments: list[str], directory: Path, told: Callable[[dict[str, Any]], None]) -> None:
    """Run a module on the stage; `told` gets each line of JSON that it says. Raises Refusal when it fails."""
    log = directory / "stage.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=settings.BASE_DIR, env=_environment(rehearsal, directory), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    told(json.loads(line))
            status = process.wait()
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    if status:
        last = log.read_text(encoding="utf-8", errors="replace")[-_TOLD:].strip().splitlines()
        raise Refusal(
            f"It ended with {status} on its stage: {last[-1] if last else 'it said nothing'}", subject=str(rehearsal),
            todo="Correct that, and rehearse again. Production was not touched.",
        )  # fmt: skip


def _environment(rehearsal: Rehearsal, directory: Path) -> dict[str, str]:
    urls = {
        f"{name}DATABASE_URL": _as_url(url(rehearsal, side))
        for name, side in (("", Side.PORTAL), ("LEGACY_", Side.LEGACY), ("IAM_", Side.IAM))
    }
    return {
        **os.environ, **urls, "DATABASE_OWNER_URL": "", "SECRET_KEY": settings.SECRET_KEY,
        "MIGRATION_PLAN": str(settings.MIGRATION_PLAN), "LEGACY_CONTRACT": settings.LEGACY_CONTRACT,
        "LEGACY_JWT_SECRET": settings.LEGACY_JWT_SECRET, "RUN_WORKERS": str(settings.RUN_WORKERS),
        "REDIS_URL": f"redis://{_NOWHERE}/0", "LEGACY_UPSTREAM_URL": f"http://{_NOWHERE}", "LEGACY_SERVED_BY": "",
        "ALERT_PLACES": "", "METRICS_TOKEN": "", "BACKUP_FRESH_HOURS": "0", "SHADOW_SHARE": "0",
        "AUTH_CALLS_A_MINUTE": "0", "OTHER_CALLS_A_MINUTE": "0", "THROTTLES_WITHOUT_REDIS": "allow",
        "AUDIT_ANCHORS": str(directory / "anchors"), "COMMAND_LOG": str(directory / "stage.log"), "LOG_LEVEL": "ERROR",
        "ROLLBACK_MODE": "shadow", "HTTPS": "false", "DEBUG": "false", "DJANGO_SETTINGS_MODULE": "config.settings",
    }  # fmt: skip


def _as_url(conninfo: str) -> str:
    """What Django's settings read, of what libpq reads."""
    parts = conninfo_to_dict(conninfo)
    host, port = str(parts.pop("host", "")), str(parts.pop("port", "") or "")
    user, password = quote(str(parts.pop("user", ""))), quote(str(parts.pop("password", "")), safe="")
    name = quote(str(parts.pop("dbname")))
    place = quote(host, safe="") if host.startswith("/") else host
    query = urlencode({key: value for key, value in parts.items() if key.startswith("ssl")})
    secret = f":{password}" if password else ""
    return f"postgresql://{user}{secret}@{place}{':' if port else ''}{port}/{name}{'?' if query else ''}{query}"
