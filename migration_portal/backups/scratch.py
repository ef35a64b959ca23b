"""New databases that stand for another: made like it, filled from a backup, compared with what its snapshot held, dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal import databases
from migration_portal.backups import store, tools
from migration_portal.backups.content import QUERIES, Content, content_of, differences
from migration_portal.backups.models import Backup
from migration_portal.backups.store import Stored
from migration_portal.engine.errors import DatabaseUnreachable
from migration_portal.refusal import Refusal

_OURS = "Sigma Transit: "
"""How the comments of databases of ours begin, before what they are for: no other is ever dropped."""
_NEW = "portal_new_"
"""How the name of one begins that has no comment yet: a worker that dies in between leaves nothing that is not known as ours."""
_LOCALE = {"b": "BUILTIN_LOCALE", "i": "ICU_LOCALE"}


@contextmanager
def server_of(side: str, *, scratch: bool = False) -> Iterator[Connection[Any]]:
    """A session on the server's maintenance database, from which databases are made, renamed and dropped."""
    if scratch and settings.BACKUP_SCRATCH_URL:
        with databases.of_url(settings.BACKUP_SCRATCH_URL, "scratch") as connection:
            yield connection
        return
    last: Refusal | None = None
    for name in ("postgres", "template1"):
        try:
            with databases.of_side(side, "scratch", database=name) as connection:
                yield connection
            return
        except DatabaseUnreachable as refusal:
            last = refusal
    assert last is not None
    raise last


def url_in(side: str, name: str, *, scratch: bool = False) -> str:
    """How to reach the database of this name, where `server_of` made it."""
    if scratch and settings.BACKUP_SCRATCH_URL:
        return make_conninfo(settings.BACKUP_SCRATCH_URL, dbname=name)
    return databases.url_of(side, database=name)


def name_of(side: str) -> str:
    """What the side's own database is called."""
    return str(conninfo_to_dict(databases.url_of(side))["dbname"])


def exists(server: Connection[Any], name: str) -> bool:
    return server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def create(server: Connection[Any], name: str, *, like: str, side: str, what: str) -> None:
    """An empty database with the encoding, the locale, the settings and the grants of `like`. Raises Refusal, psycopg.Error."""
    with databases.of_side(side, "scratch") as connection:
        as_it_is = _rows(connection, "like", like)[0]
        its_settings, its_grants = _rows(connection, "settings_of", like), _rows(connection, "grants_of", like)
    unnamed = f"{_NEW}{name}"[:63]
    server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(unnamed)))
    parts: list[Composable] = [
        SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(
            Identifier(unnamed), Literal(as_it_is["encoding"])
        ),
        SQL("LC_COLLATE {} LC_CTYPE {}").format(Literal(as_it_is["collate"]), Literal(as_it_is["ctype"])),
    ]
    if word := _LOCALE.get(as_it_is["provider"]):
        provider = "builtin" if as_it_is["provider"] == "b" else "icu"
        parts.append(SQL(f"LOCALE_PROVIDER {provider} {word} {{}}").format(Literal(as_it_is["locale"])))  # type: ignore[arg-type]
        if as_it_is["rules"]:
            parts.append(SQL("ICU_RULES {}").format(Literal(as_it_is["rules"])))
    server.execute(SQL(" ").join(parts))
    _name(server, unnamed, name, what)
    if settings.BACKUP_SCRATCH_URL and what.startswith("scratch"):
        return  # another server may not know its roles
    if its_grants:
        server.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(name)))
    for grant in its_grants:
        statement = SQL(f"GRANT {grant['privilege']} ON DATABASE {{}} TO {{}}")  # type: ignore[arg-type]
        whom = Identifier(grant["grantee"]) if grant["grantee"] else SQL("PUBLIC")
        server.execute(statement.format(Identifier(name), whom))
    for one in its_settings:
        whose = SQL("ROLE {} IN DATABASE {}").format(Identifier(one["role"]), Identifier(name)) if one["role"] else None
        server.execute(
            SQL("ALTER {} SET {} = {}").format(
                whose or SQL("DATABASE {}").format(Identifier(name)), Identifier(one["name"]), Literal(one["value"])
            )
        )


def create_plain(server: Connection[Any], name: str, *, what: str) -> None:
    """An empty database in UTF-8 that sorts byte by byte, which every server can make. Raises psycopg.Error."""
    unnamed = f"{_NEW}{name}"[:63]
    server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(unnamed)))
    made = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    server.execute(made.format(Identifier(unnamed)))
    _name(server, unnamed, name, what)


def _name(server: Connection[Any], unnamed: str, name: str, what: str) -> None:
    server.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(unnamed), Literal(_OURS + what)))
    server.execute(renaming(unnamed, name))


def renaming(name: str, new: str) -> Composed:
    """The statement that renames a database; nobody may be connected to it."""
    return SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(new))


def drop(server: Connection[Any], name: str, *, what: str) -> None:
    """Drop the database that `create` made for this, with the sessions in it. Raises Refusal for any other."""
    row = server.execute(QUERIES["comment"], {"name": name}).fetchone()
    if row is None:
        return
    if row[0] != _OURS + what:
        raise Refusal("It is no database of ours.", subject=name, todo="Drop it yourself if you know it.")
    server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def fetch(backup: Backup, directory: Path, report: Callable[[int, int], None]) -> None:
    """The backup's files out of the store, opened. Raises Unreadable, Refusal."""
    files = [Stored(**file) for file in backup.manifest["files"]]
    total, done = sum(file.bytes for file in files), 0
    for stored in files:
        path = directory / stored.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            store.get(backup.place, stored, file)
        done += stored.bytes
        report(done, total)


def fill(backup: Backup, directory: Path, url: str, report: Callable[[int, int], None], *, elsewhere: bool) -> None:
    """Restore the fetched dump. `elsewhere` is a server that may not know the roles. Raises Refusal."""
    with psycopg.connect(url) as connection:
        major = connection.info.server_version // 10000
    chosen = tools.find(max(major, int(backup.manifest["tool"].split()[-1])), url)
    tables = len(backup.manifest["content"]["tables"])
    tools.run(
        chosen, "pg_restore",
        [
            f"--dbname={conninfo_to_dict(url)['dbname']}", f"--jobs={settings.BACKUP_JOBS}", "--exit-on-error", "--verbose",
            "--no-password", "--no-subscriptions", *(("--no-owner", "--no-privileges") if elsewhere else ()),
            str(directory / "database"),
        ],
        url=url, subject=f"restoring {backup}",
        meanwhile=lambda told: report(min(_finished(told), tables), tables),
    )  # fmt: skip


def compare(backup: Backup, url: str, report: Callable[[int, int], None]) -> list[str]:
    """What the restored database has otherwise than the dump's snapshot had. Raises Refusal, psycopg.Error."""
    manifest = backup.manifest
    with databases.of_url(url, "restored") as connection:
        same = connection.info.server_version // 10000 == manifest["server_version"] // 10000
        there = content_of(connection, report)
    return list(differences(Content(**manifest["content"]), manifest["latest_sequences"], there, same_major=same))


def _finished(told: str) -> int:
    return sum("finished item" in line and "TABLE DATA" in line for line in told.splitlines())


def _rows(connection: Connection[Any], query: str, name: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[query], {"name": name}).fetchall()
