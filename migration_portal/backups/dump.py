"""A dump of one database: pg_dump's directory format, in a snapshot whose content is counted and hashed at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal import databases
from migration_portal.backups import tools
from migration_portal.backups.content import QUERIES, Content, content_of, sequences_of, sizes_of
from migration_portal.plan.model import Plan

Report = Callable[[int, int], None]
_LOCK_WAIT = "20s"
_USERS = "users"


@dataclass(frozen=True)
class Dump:
    """What was dumped, and what the database held in that snapshot. Sequences have moved on to `latest_sequences` since."""

    snapshot_at: datetime
    server_version: int
    tool: str
    content: Content
    latest_sequences: dict[str, int]
    users: int
    """How many were exported as JSON Lines."""


def dump(side: str, directory: Path, plan: Plan, report: Report) -> Dump:
    """Dump the side's database and its users into `database` and `users.jsonl` of the directory. Raises Refusal, psycopg.Error."""
    url = databases.url_of(side)
    with databases.of_side(side, "backup") as connection:
        version = connection.info.server_version
        chosen = tools.find(version // 10000, url)
        with snapshot(connection) as (name, at), ThreadPoolExecutor(2, "beside the dump") as beside:
            sizes = sizes_of(connection)
            # By sessions of their own: this one only keeps the snapshot, which the tool's sessions share as well.
            counted = beside.submit(_count, side, name)
            exported = beside.submit(_export_users, side, name, plan, directory / "users.jsonl")
            tools.run(
                chosen, "pg_dump",
                [
                    "--format=directory", f"--file={directory / 'database'}", f"--jobs={settings.BACKUP_JOBS}",
                    f"--snapshot={name}",
                    "--compress=gzip:1" if chosen.major >= 16 else "--compress=1", "--verbose", "--no-password",
                    f"--lock-wait-timeout={_LOCK_WAIT}",
                ],
                url=url, subject=f"{side} database",
                meanwhile=lambda told: report(_finished(told, sizes), sum(sizes.values())),
            )  # fmt: skip
            content, users = counted.result(), exported.result()
        latest = sequences_of(connection)
    return Dump(at, version, f"pg_dump {chosen.major}", content, latest, users)


class snapshot:  # noqa: N801 - read as a function
    """A snapshot that other sessions may share for as long as the block lasts: its name, and when it was taken."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection

    def __enter__(self) -> tuple[str, datetime]:
        self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = self.connection.execute("SELECT pg_export_snapshot(), now()").fetchone()
        assert row is not None
        return row[0], row[1]

    def __exit__(self, *error: object) -> None:
        if not self.connection.broken:
            self.connection.execute("ROLLBACK")


def _count(side: str, name: str) -> Content:
    with databases.of_side(side, "backup content") as connection:
        share(connection, name)
        return content_of(connection)


def share(connection: Connection[Any], name: str) -> None:
    """Begin a transaction in an exported snapshot."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(name)))


def _finished(told: str, sizes: dict[str, int]) -> int:
    """Bytes of the tables that pg_dump says it is through with; it names them without their schema."""
    words = [line.split() for line in told.splitlines() if "finished item" in line and "TABLE DATA" in line]
    done = {line[-1] for line in words}
    return sum(size for name, size in sizes.items() if name.partition(".")[2] in done)


def _export_users(side: str, name: str, plan: Plan, target: Path) -> int:
    """The side's users as JSON Lines, without what the plan calls secret. Returns how many; 0 where the plan has no users."""
    table = plan.find(_USERS)
    if table is None or side == "portal":
        return 0
    place = (plan.source_schema, table.source) if side == "legacy" else (plan.target_schema, table.target)
    with databases.of_side(side, "user export") as connection, target.open("wb") as file:
        share(connection, name)
        columns = connection.execute(QUERIES["columns"], place).fetchall()
        shown = [column for (column,) in columns if column not in table.secret]
        if not shown:
            return 0
        asked = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass"
        [partitioned] = connection.execute(asked, [Identifier(*place).as_string(connection)]).fetchone() or [False]
        # As CSV whose quote and delimiter never stand in JSON: text format would double its backslashes.
        statement = SQL(
            "COPY (SELECT row_to_json(one) FROM (SELECT {} FROM {} {}) AS one) TO STDOUT"
            " (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02')"
        ).format(SQL(", ").join(map(Identifier, shown)), SQL("" if partitioned else "ONLY"), Identifier(*place))
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for block in copy:
                    file.write(block)
            return cursor.rowcount
