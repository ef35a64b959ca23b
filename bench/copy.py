"""How fast is a run? Ours, end to end, against everything else one would reach for, on the same data in one run.

    make bench                       a million users and as many licences
    make bench ARGS="--users 200000"

Every way starts from the same legacy database and ends with the same rows under the same
constraints, which is checked. One embedded PostgreSQL holds both sides; fsync is on.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from rich.console import Console
from rich.table import Table

from config import embedded

console = Console(width=150)
TABLES = ("tenants", "tenant_settings", "users", "licenses")
SMALL_SHARE = {"bulk_create": 0.1, "row by row": 0.01}
"""Slow peers copy this share of the users and licences; their rows/s are what is compared."""


@dataclass
class Result:
    """One way of copying: rows and seconds, and a note on the path it took."""

    name: str
    rows: int
    seconds: float
    note: str
    same: str = "yes"

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=1, help="take the best of so many for ours and the fast peers")
    options = parser.parse_args()
    os.environ["PORTAL_HOME"] = home = tempfile.mkdtemp(prefix="portal-bench-")
    os.chmod(home, 0o755)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["LOG_LEVEL"] = "ERROR"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        servers = embedded.start()
        stack.callback(servers.stop)
        Bench(options.users, options.repeat, Path(home)).run()
    return 0


class Bench:
    """Prepares the legacy database once and an empty IAM before each way."""

    def __init__(self, users: int, repeat: int, home: Path) -> None:
        self.users, self.repeat, self.home = users, repeat, home
        self.results: list[Result] = []
        self.legacy_url = embedded.database_url("sigma_permit")

    def run(self) -> None:
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        self._fill()
        self._template()
        console.print(
            f"{self.users:,} users and licences, {self.rows:,} rows in {', '.join(TABLES)}; {os.cpu_count()} cores"
        )
        with ExitStack() as stack:
            for _ in range(2):
                stack.callback(_kill, self._worker())
            stack.callback(_kill, self._celery("beat", "--pidfile=", "-s", str(self.home / "beat")))
            self._ours("ours, one worker's warm-up", discard=True)
            ours = self._ours("ours, end to end")
            verify, overhead, memory = self._last_run()
            dirty = self._ours_dirty()
        self._psql("psql COPY | psql COPY", constrained=True)
        self._psql("psql COPY | psql COPY, bare tables", constrained=False)
        self._dump_restore()
        self._pgcopydb()
        self._bulk_create()
        self._row_by_row()
        self._table(ours)
        console.print(f"With 1 % bad rows: {dirty.seconds / ours.seconds:.2f} of the clean time (target ≤ 1.5).")
        console.print(f"Verification: {verify:.2f} of the copy time (target ≤ 0.25).")
        console.print(f"Time outside chunks: {overhead:.1%} (target ≤ 5 %).")
        console.print(f"A worker's memory at its peak: {memory} MB (target ≤ 150).")

    # --- the two sides ----------------------------------------------------------------------

    def _fill(self, rate: float = 0.0) -> None:
        from migration_portal.sample.dirt import Dirt
        from migration_portal.sample.fill import fill

        dirt = Dirt(self.users, max(10, self.users // 100), rate)
        with psycopg.connect(self.legacy_url, autocommit=True) as legacy:
            fill(legacy, dirt, seed=1, replace=True)
            if not rate:
                _clean(legacy)
            self.rows = sum(legacy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)

    def _template(self) -> None:
        from migration_portal.schema import apply

        apply.apply(by="bench")
        self._server("ALTER DATABASE sigma_iam RENAME TO iam_template")

    def _fresh_iam(self) -> str:
        self._server("DROP DATABASE IF EXISTS sigma_iam WITH (FORCE)")
        self._server("CREATE DATABASE sigma_iam TEMPLATE iam_template STRATEGY file_copy")
        self._server("CHECKPOINT")
        return embedded.database_url("sigma_iam")

    def _server(self, statement: str) -> None:
        with psycopg.connect(embedded.database_url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def _same(self, share: float = 1.0) -> str:
        """Do the rows that arrived equal legacy's, and are all constraints of the template in force?"""
        with (
            psycopg.connect(self.legacy_url) as legacy,
            psycopg.connect(embedded.database_url("sigma_iam")) as iam,
            psycopg.connect(embedded.database_url("iam_template")) as template,
        ):
            for table, key in (
                ("users", "id"),
                ("licenses", "id"),
                ("tenants", "id"),
                ("tenant_settings", "tenant_id"),
            ):
                names = [
                    r[0]
                    for r in legacy.execute(
                        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [table]
                    )
                ]
                casts = {"id": "id::uuid", "tenant_id": "tenant_id::uuid", "payload": "payload::text"}
                row = ", ".join(casts.get(name, name) for name in names)
                found = iam.execute(
                    f"SELECT count(*), sum(hash_record_extended(ROW({row}), 0)) FROM {table}"
                ).fetchone()  # type: ignore[call-overload]
                if share == 1.0:
                    wanted = legacy.execute(
                        f"SELECT count(*), sum(hash_record_extended(ROW({row}), 0)) FROM {table}"
                    ).fetchone()  # type: ignore[call-overload]
                    if found != wanted:
                        return f"no: {table} {key}"
            query = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
            indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
            for question in (query, indexes):
                if iam.execute(question).fetchall() != template.execute(question).fetchall():
                    return "no: constraints"
        return "yes" if share == 1.0 else "share"

    # --- ours -------------------------------------------------------------------------------

    def _worker(self) -> subprocess.Popen[bytes]:
        return self._celery("worker", "--without-mingle", "--without-gossip", "--concurrency", "1")

    def _celery(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.home / f"{arguments[0]}.log").open("ab")
        command = [sys.executable, "-m", "celery", "-A", "config", *arguments]
        return subprocess.Popen(command, cwd=embedded.PROJECT, stdout=log, stderr=log, start_new_session=True)

    def _plan(self) -> Path:
        """The default plan without the roles step: what the peers copy."""
        from django.conf import settings

        text = Path(settings.MIGRATION_PLAN).read_text()
        path = self.home / "plan.toml"
        path.write_text(text[: text.index("# The default role of each user")])
        return path

    def _ours(self, name: str, *, discard: bool = False) -> Result:
        from migration_portal.runs.report import report
        from migration_portal.runs.start import start

        best: Result | None = None
        for _ in range(1 if discard else self.repeat):
            self._fresh_iam()
            started = time.monotonic()
            run = start(by="bench", plan_path=self._plan())
            built: float | None = None
            while run.state == "running":
                time.sleep(0.05)
                run.refresh_from_db()
                if built is None and self._built(run.key):
                    built = time.monotonic() - started
            self.run_record = run
            result = report(run)
            rows = sum(table.copied for table in result.tables.values())
            assert result.passed, result.as_dict()
            found = Result(
                name, rows, built or 0.0, "empty tables: load with the primary key, settle, rebuild", self._same()
            )
            if best is None or found.seconds < best.seconds:
                best = found
        assert best is not None
        if not discard:
            self.results.append(best)
        return best

    def _built(self, key: Any) -> bool:
        """From the start of the run to all constraints valid; verification comes on top, in its own line."""
        with psycopg.connect(embedded.database_url("sigma_iam")) as iam:
            row = iam.execute(
                "SELECT count(*) FILTER (WHERE state = 'done') = count(*) AND count(DISTINCT step) = 4"
                " FROM portal_ledger.chunks WHERE run = %s AND step LIKE 'foreign:%%'",
                [key],
            ).fetchone()
        return bool(row and row[0])

    def _last_run(self) -> tuple[float, float, int]:
        """Verification against copy, in seconds of work; time with no chunk in work, as a share; a worker's peak MB."""
        with psycopg.connect(embedded.database_url("sigma_iam")) as iam:
            spans = iam.execute(
                "SELECT kind, extract(epoch FROM started_at)::float8, extract(epoch FROM finished_at)::float8"
                " FROM portal_ledger.chunks WHERE run = %s ORDER BY 2",
                [self.run_record.key],
            ).fetchall()
        verifying = ("verify", "compare", "check")
        verify = _covered([(a, b) for kind, a, b in spans if kind in verifying])
        copy = _covered([(a, b) for kind, a, b in spans if kind not in verifying])
        begin, end = min(a for _, a, _ in spans), max(b for _, _, b in spans)
        idle = 1 - _covered([(a, b) for _, a, b in spans]) / (end - begin)
        return verify / copy, idle, _peak_megabytes("celery")

    def _ours_dirty(self) -> Result:
        self._fill(rate=0.01 * 4 / 3)  # three of the four kinds of dirt set rows aside
        result = self._ours_again()
        self._fill()
        return result

    def _ours_again(self) -> Result:
        from migration_portal.runs.report import report
        from migration_portal.runs.start import start

        self._fresh_iam()
        started = time.monotonic()
        run = start(by="bench", plan_path=self._plan())
        while run.state == "running" and not self._built(run.key):
            time.sleep(0.05)
            run.refresh_from_db()
        seconds = time.monotonic() - started
        while run.state == "running":
            time.sleep(0.2)
            run.refresh_from_db()
        tables = report(run).tables
        return Result("1 % bad rows", sum(table.source for table in tables.values()), seconds, "")

    # --- peers --------------------------------------------------------------------------------

    def _psql(self, name: str, *, constrained: bool) -> None:
        iam = self._fresh_iam()
        if not constrained:
            with psycopg.connect(iam, autocommit=True) as connection:
                _strip(connection)
        started = time.monotonic()
        for table in TABLES:
            columns, select = self._mapping(table)
            out = f"COPY ({select}) TO STDOUT (FORMAT binary)"
            into = f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)"
            pipe = f'{_tool("psql")} -Xq "{self.legacy_url}" -c "{out}" | {_tool("psql")} -Xq "{iam}" -v ON_ERROR_STOP=1 -c "{into}"'
            subprocess.run(["bash", "-o", "pipefail", "-c", pipe], check=True)
        seconds = time.monotonic() - started
        same = self._same() if constrained else "rows only"
        self.results.append(
            Result(
                name,
                self.rows,
                seconds,
                "one stream, binary, mapped" if constrained else "the limit: no constraint is ever built",
                same,
            )
        )

    def _mapping(self, table: str) -> tuple[str, str]:
        from migration_portal.plan.loader import load

        plan = load(self._plan()).table(table)
        columns = [column for column in plan.columns if not column.default]
        select = ", ".join(f"({column.sql}) AS {column.name}" for column in columns)
        return ", ".join(column.name for column in columns), f"SELECT {select} FROM {table}"

    def _dump_restore(self) -> None:
        """pg_dump -Fd -j2 of mapped copies, then pg_restore -j2 of the data into the constrained schema."""
        iam = self._fresh_iam()
        directory = self.home / "dump"
        started = time.monotonic()
        with psycopg.connect(self.legacy_url, autocommit=True) as legacy:
            # pg_dump maps nothing: the rows have to be given their new types first.
            legacy.execute("CREATE SCHEMA mapped")
            for table in TABLES:
                legacy.execute(f"CREATE TABLE mapped.{table} AS {self._mapping(table)[1]}")  # type: ignore[call-overload]
            legacy.execute("ALTER SCHEMA public RENAME TO kept; ALTER SCHEMA mapped RENAME TO public")
            try:
                dump = [
                    _tool("pg_dump"),
                    "-Fd",
                    "-j2",
                    "-Z0",
                    "--data-only",
                    "-n",
                    "public",
                    "-f",
                    str(directory),
                    self.legacy_url,
                ]
                subprocess.run(dump, check=True)
            finally:
                legacy.execute("DROP SCHEMA public CASCADE; ALTER SCHEMA kept RENAME TO public")
        for tables in (("tenants",), ("tenant_settings", "users", "licenses")):
            chosen = [part for table in tables for part in ("-t", table)]
            subprocess.run([_tool("pg_restore"), "-j2", "--data-only", *chosen, "-d", iam, str(directory)], check=True)
        seconds = time.monotonic() - started
        shutil.rmtree(directory)
        self.results.append(
            Result(
                "pg_dump -Fd -j2 | pg_restore -j2",
                self.rows,
                seconds,
                "mapped by CREATE TABLE AS first; constraints in place",
                self._same(),
            )
        )

    def _pgcopydb(self) -> None:
        """A clone of the whole legacy database into an empty one: legacy's own schema and constraints, unmapped."""
        tool = shutil.which("pgcopydb")
        if tool is None:
            self.results.append(Result("pgcopydb clone", 0, 1, "not installed here: apt install pgcopydb", "-"))
            return
        if psycopg.connect(self.legacy_url).info.server_version >= 170000:
            system = next((b for b in embedded._postgres_candidates() if b.tree is None), None)
            if system is None:
                self.results.append(Result("pgcopydb clone", 0, 1, "needs a system PostgreSQL of its own age", "-"))
                return
        self._server("DROP DATABASE IF EXISTS clone WITH (FORCE)")
        self._server("CREATE DATABASE clone")
        environment = os.environ | {"PATH": f"{embedded.find_postgres().directory}:{os.environ['PATH']}"}
        command = [tool, "clone", "--no-owner", "--no-acl", "--table-jobs", "2", "--index-jobs", "2", "--dir", str(self.home / "pgcopydb"),
                   "--source", self.legacy_url, "--target", embedded.database_url("clone")]  # fmt: skip
        started = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            why = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no message")
            self.results.append(Result("pgcopydb clone", 0, 1, f"failed here: {why[-70:]}", "-"))
            return
        with psycopg.connect(embedded.database_url("clone")) as clone:
            rows = sum(clone.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)  # type: ignore[call-overload, index]
        same = "rows; legacy's constraints" if rows == self.rows else "no"
        self.results.append(Result("pgcopydb clone", rows, seconds, "2 + 2 jobs, unmapped, legacy's own schema", same))
        self._server("DROP DATABASE clone WITH (FORCE)")

    def _bulk_create(self) -> None:
        """Django's bulk_create, 1,000 at a time, from server-side cursors, on models of the four tables."""
        from bench import models

        self._fresh_iam()
        self._close_django()
        share = SMALL_SHARE["bulk_create"]
        rows, started = 0, time.monotonic()
        for table in TABLES:
            model = models.MODELS[table]
            for batch in self._batches(table, share):
                model.objects.using("iam").bulk_create([model(**row) for row in batch])
                rows += len(batch)
        self.results.append(
            Result(
                "Django bulk_create",
                rows,
                time.monotonic() - started,
                f"{share:.0%} of the users and licences",
                self._same(share),
            )
        )
        self._close_django()

    def _row_by_row(self) -> None:
        """The source document's design: fetch, map in Python, create one user after the other."""
        iam = self._fresh_iam()
        share = SMALL_SHARE["row by row"]
        rows, started = 0, time.monotonic()
        with psycopg.connect(iam, autocommit=True) as connection:
            for table in TABLES:
                columns = [name.strip() for name in self._mapping(table)[0].split(",")]
                statement = SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    Identifier(table),
                    SQL(", ").join(map(Identifier, columns)),
                    SQL(", ").join([SQL("%s")] * len(columns)),
                )
                for batch in self._batches(table, share):
                    for row in batch:
                        connection.execute(statement, [row[name] for name in columns])
                        rows += 1
        self.results.append(
            Result(
                "one row, one commit",
                rows,
                time.monotonic() - started,
                f"the source document's design; {share:.0%} of the users and licences",
                self._same(share),
            )
        )

    def _batches(self, table: str, share: float) -> Any:
        _, select = self._mapping(table)
        select = select.replace("(payload) AS payload", "payload::text AS payload")
        limit = "" if table in ("tenants", "tenant_settings") else f" LIMIT {int(self.users * share)}"
        with (
            psycopg.connect(self.legacy_url) as legacy,
            legacy.cursor("bench", row_factory=psycopg.rows.dict_row) as cursor,
        ):
            cursor.execute(select + limit)  # type: ignore[call-overload]
            while batch := cursor.fetchmany(1000):
                yield batch

    def _close_django(self) -> None:
        from django.db import connections

        connections.close_all()

    # --- the table ------------------------------------------------------------------------------

    def _table(self, ours: Result) -> None:
        base = next(result for result in self.results if result.name == "psql COPY | psql COPY")
        table = Table(title="Users, licences, tenants and settings, to all constraints valid")
        for name, right in (
            ("Way", False),
            ("Rows", True),
            ("Seconds", True),
            ("Rows/s", True),
            ("Against psql", True),
            ("Ours against it", True),
            ("Same rows and constraints", False),
            ("Path", False),
        ):
            table.add_column(name, justify="right" if right else "left")
        for result in sorted(self.results, key=lambda result: -result.rate):
            table.add_row(
                result.name, f"{result.rows:,}", f"{result.seconds:.1f}" if result.rows else "-", f"{result.rate:,.0f}" if result.rows else "-",
                f"{result.rate / base.rate:.2f}" if result.rows else "-", f"{ours.rate / result.rate:.2f}" if result.rows else "-",
                result.same, result.note,
            )  # fmt: skip
        console.print(table)


def _clean(legacy: psycopg.Connection[Any]) -> None:
    """Remove the few rows of every sample that cannot arrive, so that all ways can end alike."""
    bad = "id !~ '^[0-9a-f-]{36}$' OR tenant_id !~ '^[0-9a-f-]{36}$' OR tenant_id NOT IN (SELECT id FROM tenants)"
    legacy.execute("DELETE FROM tenant_settings WHERE tenant_id LIKE 'legacy%'")
    legacy.execute(f"DELETE FROM users WHERE {bad}")  # type: ignore[call-overload]
    legacy.execute(f"DELETE FROM licenses WHERE {bad}")  # type: ignore[call-overload]
    legacy.execute("DELETE FROM tenants WHERE id LIKE 'legacy%'")
    legacy.execute("VACUUM (ANALYZE) tenants, users, licenses, tenant_settings")


def _strip(connection: psycopg.Connection[Any]) -> None:
    for table in (*TABLES, "user_roles"):
        for (name,) in connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'", [table]
        ).fetchall():
            connection.execute(SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(Identifier(table), Identifier(name)))
    for table in TABLES:
        for (name,) in connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('u', 'p')", [table]
        ).fetchall():
            connection.execute(
                SQL("ALTER TABLE {} DROP CONSTRAINT {} CASCADE").format(Identifier(table), Identifier(name))
            )
        for (name,) in connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = %s", [table]).fetchall():
            connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))


def _tool(name: str) -> str:
    """A client program of the server's own version where the wheel has it, else the system's."""
    own = embedded.find_postgres().directory / name
    return str(own) if own.exists() else shutil.which(name) or name


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one span was under way."""
    total, end = 0.0, 0.0
    for a, b in sorted(spans):
        total += max(0.0, b - max(a, end))
        end = max(end, b)
    return total


def _peak_megabytes(name: str) -> int:
    """The largest resident size that any process with this word in its command line has had."""
    peaks = [0]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if name in (entry / "cmdline").read_text():
                line = next(line for line in (entry / "status").read_text().splitlines() if line.startswith("VmHWM"))
                peaks.append(int(line.split()[1]) // 1024)
        except (OSError, StopIteration):
            continue
    return max(peaks)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


Way = Callable[[], Result]
assert resource

if __name__ == "__main__":
    sys.exit(main())
