"""The ground all ways run on: one legacy database, and a fresh IAM for each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from config import embedded
from config.embedded import postgres

TABLES = ("tenants", "tenant_settings", "users", "licenses")


@dataclass
class Result:
    """One way of copying: rows and seconds, and a note on the path it took. No rows: it could not be run."""

    name: str
    rows: int
    seconds: float
    note: str
    same: str = "yes"

    @property
    def rate(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0


def scratch(stack: ExitStack) -> Path:
    """A directory for the embedded servers of one bench, gone with the stack."""
    home = tempfile.mkdtemp(prefix="portal-bench-")
    Path(home).chmod(0o755)  # PostgreSQL may run as somebody else
    os.environ |= {"PORTAL_HOME": home, "LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "config.settings"}
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    return Path(home)


class Setup:
    """`users` users and as many licences in legacy; `home` is a scratch directory."""

    def __init__(self, users: int, home: Path) -> None:
        self.users, self.home = users, home
        self.legacy_url = embedded.database_url("sigma_permit")
        self.iam_url = embedded.database_url("sigma_iam")
        self.rows = 0

    def fill(self, rate: float = 0.0) -> None:
        """Fill legacy anew; without dirt all ways can end alike, so the few rows that cannot arrive are removed."""
        from migration_portal.sample.dirt import Dirt
        from migration_portal.sample.fill import fill

        dirt = Dirt(self.users, max(10, self.users // 100), rate)
        with psycopg.connect(self.legacy_url, autocommit=True) as legacy:
            fill(legacy, dirt, seed=1, replace=True)
            if not rate:
                _clean(legacy)
            self.rows = sum(count(legacy, table) for table in TABLES)

    def make_template(self) -> None:
        """Apply the IAM schema once; every fresh IAM is a copy of that."""
        from migration_portal.schema import apply

        apply.apply(by="bench")
        self.on_server("ALTER DATABASE sigma_iam RENAME TO iam_template")

    def fresh_iam(self) -> str:
        """Empty tables under all constraints, and a checkpoint, so that no way pays for the one before it."""
        from django.db import connections

        connections["iam"].close()  # to the one that goes
        self.on_server("DROP DATABASE IF EXISTS sigma_iam WITH (FORCE)")
        self.on_server("CREATE DATABASE sigma_iam TEMPLATE iam_template STRATEGY file_copy")
        self.on_server("CHECKPOINT")
        return self.iam_url

    def on_server(self, statement: str) -> None:
        with psycopg.connect(embedded.database_url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def plan(self) -> Path:
        """The default plan without the roles step: what the peers copy."""
        from django.conf import settings

        text = Path(settings.MIGRATION_PLAN).read_text()
        path = self.home / "plan.toml"
        path.write_text(text[: text.index("# The default role of each user")])
        return path

    def mapping(self, table: str) -> tuple[str, str]:
        """The target columns that the plan maps, and the SELECT that maps them, for peers to use."""
        from migration_portal.plan.loader import load

        plan = load(self.plan()).table(table)
        columns = [column for column in plan.columns if not column.default]
        select = ", ".join(f"({column.sql}) AS {column.name}" for column in columns)
        return ", ".join(column.name for column in columns), f"SELECT {select} FROM {table}"

    def batches(self, table: str, share: float) -> Iterator[list[dict[str, Any]]]:
        """Mapped rows, 1,000 at a time; of users and licences only a share."""
        select = self.mapping(table)[1].replace("(payload) AS payload", "payload::text AS payload")
        limit = "" if table in ("tenants", "tenant_settings") else f" LIMIT {int(self.users * share)}"
        with psycopg.connect(self.legacy_url) as legacy, legacy.cursor("bench", row_factory=dict_row) as cursor:
            cursor.execute(select + limit)  # type: ignore[call-overload]
            while batch := cursor.fetchmany(1000):
                yield batch

    def compare(self) -> str:
        """`yes` when the rows that arrived equal legacy's and all constraints of the schema are in force."""
        with psycopg.connect(self.legacy_url) as legacy, psycopg.connect(self.iam_url) as iam:
            for table in TABLES:
                if _digest(legacy, legacy, table) != _digest(legacy, iam, table):
                    return f"no: {table}"
        return self.compare_constraints()

    def compare_constraints(self) -> str:
        with (
            psycopg.connect(self.iam_url) as iam,
            psycopg.connect(embedded.database_url("iam_template")) as template,
        ):
            return "yes" if _constraints(iam) == _constraints(template) else "no: constraints"


def count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchone()
    return int(row[0]) if row else 0


def tool(name: str) -> str:
    """A client program of the server's own version where the wheel has it, else the system's."""
    own = postgres.find().directory / name
    return str(own) if own.exists() else shutil.which(name) or name


def _digest(legacy: psycopg.Connection[Any], side: psycopg.Connection[Any], table: str) -> Any:
    names = legacy.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", [table]
    )
    casts = {"id": "id::uuid", "tenant_id": "tenant_id::uuid", "payload": "payload::text"}
    row = ", ".join(casts.get(name, name) for (name,) in names)
    return side.execute(f"SELECT count(*), sum(hash_record_extended(ROW({row}), 0)) FROM {table}").fetchone()  # type: ignore[call-overload]


def _constraints(connection: psycopg.Connection[Any]) -> list[list[Any]]:
    constraints = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    return [connection.execute(question).fetchall() for question in (constraints, indexes)]  # type: ignore[call-overload]


def _clean(legacy: psycopg.Connection[Any]) -> None:
    bad = "id !~ '^[0-9a-f-]{36}$' OR tenant_id !~ '^[0-9a-f-]{36}$' OR tenant_id NOT IN (SELECT id FROM tenants)"
    legacy.execute("DELETE FROM tenant_settings WHERE tenant_id LIKE 'legacy%'")
    for table in ("users", "licenses"):
        legacy.execute(f"DELETE FROM {table} WHERE {bad}")  # type: ignore[call-overload]
    legacy.execute("DELETE FROM tenants WHERE id LIKE 'legacy%'")
    legacy.execute("VACUUM (ANALYZE) tenants, users, licenses, tenant_settings")
