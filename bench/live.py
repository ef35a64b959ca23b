"""What does zero downtime cost, and how fast is it? Capture, catch-up and cut-over under load.

    make bench-live
    make bench-live ARGS="--users 100000"

Three tables, each in one run on one embedded PostgreSQL that holds both sides (fsync on, wal_level logical so that
the native peer can run): changed rows applied per second against logical replication of the same changes, what
capture costs a writer against what a logical slot costs it, and how long a tenant's writes wait while it moves.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from bench.holds import holds
from bench.setup import Setup, scratch, tool
from config import embedded

console = Console(width=120)
_BATCHES, _BATCH = 200, 1000
_SECONDS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=200_000)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = scratch(stack)
        servers = embedded.start()
        for setting in ("wal_level = logical", "max_replication_slots = 10", "max_logical_replication_workers = 4"):
            with psycopg.connect(embedded.database_url("postgres"), autocommit=True) as server:
                server.execute(f"ALTER SYSTEM SET {setting}")  # type: ignore[call-overload]
        servers.stop()
        stack.callback(embedded.start().stop)
        measure(Setup(options.users, home), stack)
    return 0


def measure(setup: Setup, stack: ExitStack) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    setup.fill()
    setup.make_template()
    setup.fresh_iam()
    console.print(f"{setup.users:,} users and licences; {os.cpu_count()} cores")
    writer_cost(setup)
    run = _migrated()
    catch_up(setup, run)
    holds(setup, stack)


def _migrated() -> Any:
    from migration_portal.runs.models import Run
    from migration_portal.runs.start import start
    from migration_portal.runs.work import work

    run = start(by="bench", capture=True)
    while Run.objects.get(pk=run.pk).state == "running":
        work(run.pk)
    return Run.objects.get(pk=run.pk)


# --- capture ------------------------------------------------------------------------------


def writer_cost(setup: Setup) -> None:
    """Transactions a second of four writers: alone, captured, and with a logical slot that somebody reads."""
    from migration_portal.engine import capture, catalog
    from migration_portal.plan.loader import load

    with psycopg.connect(setup.legacy_url, autocommit=True) as legacy:
        legacy.execute("CREATE TABLE bench_ids AS SELECT row_number() OVER () AS n, id FROM users")
        legacy.execute("ALTER TABLE bench_ids ADD PRIMARY KEY (n)")
        legacy.execute("ANALYZE bench_ids")
        row = legacy.execute("SELECT count(*) FROM bench_ids").fetchone()
        assert row is not None
        pick = f"\\set n random(1, {row[0]})\n"
        update = pick + "UPDATE users SET bio = 'seen' WHERE id = (SELECT id FROM bench_ids WHERE n = :n);\n"
        read = pick + "SELECT * FROM users WHERE id = (SELECT id FROM bench_ids WHERE n = :n);\n"
        scripts = {"nothing but single-row updates": update, "one update to nine reads": read * 9 + update}
        plan = load(setup.plan())
        rates: dict[str, dict[str, float]] = {name: {} for name in scripts}

        def run(mode: str) -> None:
            for name, script in scripts.items():
                rates[name][mode] = max(_pgbench(setup, script) for _ in range(2))

        run("alone")
        capture.install(legacy, plan, catalog.read(legacy, "public"))
        run("captured")
        capture.remove(legacy, plan.source_schema)
        legacy.execute("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')")
        run("with a logical slot")
        legacy.execute("SELECT pg_drop_replication_slot('bench')")
        run("alone, again")
        legacy.execute("DROP TABLE bench_ids")
    table = Table(title="What capture costs a writer (four connections, transactions a second)")
    for column in ("Writer", "Alone", "Captured", "Cost", "Logical slot", "Cost"):
        table.add_column(column, justify="left" if column == "Writer" else "right")
    for name, found in rates.items():
        alone = max(found["alone"], found["alone, again"])
        cells = [f"{alone:,.0f}"]
        for mode in ("captured", "with a logical slot"):
            cells += [f"{found[mode]:,.0f}", f"{100 * (1 - found[mode] / alone):.0f} %"]
        table.add_row(name, *cells)
    console.print(table)


def _pgbench(setup: Setup, script: str) -> float:
    path = setup.home / "script.sql"
    path.write_text(script)
    command = [tool("pgbench"), "-n", "-c", "4", "-j", "2", "-T", str(_SECONDS), "-f", str(path), setup.legacy_url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"tps = ([\d.]+)", answer)
    assert found is not None, answer
    return float(found.group(1))


# --- catch-up -----------------------------------------------------------------------------


def catch_up(setup: Setup, run: Any) -> None:
    """Changed rows applied a second: ours, and native logical replication on the same changes in the same run."""
    from migration_portal.catchup.flows import forward
    from migration_portal.engine import capture_queue
    from migration_portal.engine.catchup import batches

    slot = _native(setup)
    with psycopg.connect(setup.legacy_url, autocommit=True) as legacy:
        picked = legacy.execute("SELECT id FROM users ORDER BY random() LIMIT %s", [_BATCHES * _BATCH]).fetchall()
        count = len(picked) // _BATCH
        keys = [row[0] for row in picked[: count * _BATCH]]
        for n in range(count):
            part = keys[n * _BATCH : (n + 1) * _BATCH]
            legacy.execute("UPDATE users SET bio = %s, updated_at = now() WHERE id = ANY(%s)", [f"batch {n}", part])
    started = time.monotonic()
    with forward(run, "bench") as flow:
        size, total = 2000, 0
        while True:
            done = batches.batch(flow, most=size)
            total += done.entries
            if not done.entries and not capture_queue.lag(flow.queue).entries:
                break
            size = 10_000
    ours = total / (time.monotonic() - started)
    native = len(keys) / _native_seconds(setup, slot, f"batch {count - 1}")
    table = Table(title="Catch-up: changed rows applied a second (the same 1,000-row transactions)")
    for column in ("Way", "Rows", "Rows/s", "Ratio"):
        table.add_column(column, justify="left" if column == "Way" else "right")
    table.add_row("logical replication, one subscription", f"{len(keys):,}", f"{native:,.0f}", "1.00")
    table.add_row("ours: capture and catch-up", f"{total:,}", f"{ours:,.0f}", f"{ours / native:.2f}")
    console.print(table)


def _native(setup: Setup) -> str:
    """A subscriber with legacy's own tables and constraints, in step and then paused."""
    setup.on_server("DROP DATABASE IF EXISTS replica WITH (FORCE)")
    setup.on_server("CREATE DATABASE replica")
    url = embedded.database_url("replica")
    dump = subprocess.run(
        [tool("pg_dump"), "--exclude-schema=portal_capture", "-Fc", setup.legacy_url], capture_output=True, check=True
    ).stdout
    subprocess.run([tool("pg_restore"), "--dbname", url], input=dump, capture_output=True, check=False)
    with psycopg.connect(url, autocommit=True) as replica:
        for row in replica.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'portal%'"
        ):
            for name in ("portal_capture", "portal_capture_truncate"):
                replica.execute(f"DROP TRIGGER IF EXISTS {name} ON {row[0]}")  # type: ignore[call-overload]
        with psycopg.connect(setup.legacy_url, autocommit=True) as legacy:
            legacy.execute("CREATE PUBLICATION bench FOR TABLE users")
            legacy.execute("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')")
        replica.execute(
            f"CREATE SUBSCRIPTION bench CONNECTION '{setup.legacy_url}' PUBLICATION bench"  # type: ignore[call-overload]
            " WITH (create_slot = false, slot_name = 'bench', copy_data = false, enabled = false)"
        )
    return url


def _native_seconds(setup: Setup, url: str, last: str) -> float:
    with psycopg.connect(url, autocommit=True) as replica:
        replica.execute("ALTER SUBSCRIPTION bench ENABLE")
        started = time.monotonic()
        while True:
            row = replica.execute("SELECT count(*) FROM users WHERE bio = %s", [last]).fetchone()
            if row and row[0] >= _BATCH:
                break
            time.sleep(0.1)
        seconds = time.monotonic() - started
        replica.execute("ALTER SUBSCRIPTION bench DISABLE")
        replica.execute("ALTER SUBSCRIPTION bench SET (slot_name = NONE)")
        replica.execute("DROP SUBSCRIPTION bench")
    with psycopg.connect(setup.legacy_url, autocommit=True) as legacy:
        legacy.execute("DROP PUBLICATION bench")
        legacy.execute("SELECT pg_drop_replication_slot('bench')")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
