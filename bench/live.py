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
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from bench.ground import Ground, scratch, tool
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
        measure(Ground(options.users, home), stack)
    return 0


def measure(ground: Ground, stack: ExitStack) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    ground.fill()
    ground.make_template()
    ground.fresh_iam()
    console.print(f"{ground.users:,} users and licences; {os.cpu_count()} cores")
    writer_cost(ground)
    run = _migrated()
    catch_up(ground, run)
    holds(ground, stack)


def _migrated() -> Any:
    from migration_portal.runs.models import Run
    from migration_portal.runs.start import start
    from migration_portal.runs.work import work

    run = start(by="bench", capture=True)
    while Run.objects.get(pk=run.pk).state == "running":
        work(run.pk)
    return Run.objects.get(pk=run.pk)


# --- capture ------------------------------------------------------------------------------


def writer_cost(ground: Ground) -> None:
    """Transactions a second of four writers: alone, captured, and with a logical slot that somebody reads."""
    from migration_portal.engine import capture, catalog
    from migration_portal.plan.loader import load

    with psycopg.connect(ground.legacy_url, autocommit=True) as legacy:
        legacy.execute("CREATE TABLE bench_ids AS SELECT row_number() OVER () AS n, id FROM users")
        legacy.execute("ALTER TABLE bench_ids ADD PRIMARY KEY (n)")
        legacy.execute("ANALYZE bench_ids")
        row = legacy.execute("SELECT count(*) FROM bench_ids").fetchone()
        assert row is not None
        pick = f"\\set n random(1, {row[0]})\n"
        update = pick + "UPDATE users SET bio = 'seen' WHERE id = (SELECT id FROM bench_ids WHERE n = :n);\n"
        read = pick + "SELECT * FROM users WHERE id = (SELECT id FROM bench_ids WHERE n = :n);\n"
        scripts = {"nothing but single-row updates": update, "one update to nine reads": read * 9 + update}
        plan = load(ground.plan())
        rates: dict[str, dict[str, float]] = {name: {} for name in scripts}

        def run(mode: str) -> None:
            for name, script in scripts.items():
                rates[name][mode] = max(_pgbench(ground, script) for _ in range(2))

        run("alone")
        capture.install(legacy, plan, catalog.read(legacy, "public"))
        run("captured")
        capture.remove(legacy, plan)
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


def _pgbench(ground: Ground, script: str) -> float:
    path = ground.home / "script.sql"
    path.write_text(script)
    command = [tool("pgbench"), "-n", "-c", "4", "-j", "2", "-T", str(_SECONDS), "-f", str(path), ground.legacy_url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"tps = ([\d.]+)", answer)
    assert found is not None, answer
    return float(found.group(1))


# --- catch-up -----------------------------------------------------------------------------


def catch_up(ground: Ground, run: Any) -> None:
    """Changed rows applied a second: ours, and native logical replication on the same changes in the same run."""
    from migration_portal.catchup.flows import forward
    from migration_portal.engine import capture, catchup

    slot = _native(ground)
    with psycopg.connect(ground.legacy_url, autocommit=True) as legacy:
        found = legacy.execute("SELECT id FROM users ORDER BY random() LIMIT %s", [_BATCHES * _BATCH]).fetchall()
        batches = len(found) // _BATCH
        keys = [row[0] for row in found[: batches * _BATCH]]
        for n in range(batches):
            part = keys[n * _BATCH : (n + 1) * _BATCH]
            legacy.execute("UPDATE users SET bio = %s, updated_at = now() WHERE id = ANY(%s)", [f"batch {n}", part])
    started = time.monotonic()
    with forward(run, "bench") as flow:
        size, total = 2000, 0
        while True:
            done = catchup.batch(flow, most=size)
            total += done.entries
            if not done.entries and not capture.lag(flow.queue).entries:
                break
            size = 10_000
    ours = total / (time.monotonic() - started)
    native = len(keys) / _native_seconds(ground, slot, f"batch {batches - 1}")
    table = Table(title="Catch-up: changed rows applied a second (the same 1,000-row transactions)")
    for column in ("Way", "Rows", "Rows/s", "Ratio"):
        table.add_column(column, justify="left" if column == "Way" else "right")
    table.add_row("logical replication, one subscription", f"{len(keys):,}", f"{native:,.0f}", "1.00")
    table.add_row("ours: capture and catch-up", f"{total:,}", f"{ours:,.0f}", f"{ours / native:.2f}")
    console.print(table)


def _native(ground: Ground) -> str:
    """A subscriber with legacy's own tables and constraints, in step and then paused."""
    ground.on_server("DROP DATABASE IF EXISTS replica WITH (FORCE)")
    ground.on_server("CREATE DATABASE replica")
    url = embedded.database_url("replica")
    dump = subprocess.run(
        [tool("pg_dump"), "--exclude-schema=portal_capture", "-Fc", ground.legacy_url], capture_output=True, check=True
    ).stdout
    subprocess.run([tool("pg_restore"), "--dbname", url], input=dump, capture_output=True, check=False)
    with psycopg.connect(url, autocommit=True) as replica:
        for row in replica.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'portal%'"
        ):
            for name in ("portal_capture", "portal_capture_truncate"):
                replica.execute(f"DROP TRIGGER IF EXISTS {name} ON {row[0]}")  # type: ignore[call-overload]
        with psycopg.connect(ground.legacy_url, autocommit=True) as legacy:
            legacy.execute("CREATE PUBLICATION bench FOR TABLE users")
            legacy.execute("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')")
        replica.execute(
            f"CREATE SUBSCRIPTION bench CONNECTION '{ground.legacy_url}' PUBLICATION bench"  # type: ignore[call-overload]
            " WITH (create_slot = false, slot_name = 'bench', copy_data = false, enabled = false)"
        )
    return url


def _native_seconds(ground: Ground, url: str, last: str) -> float:
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
    with psycopg.connect(ground.legacy_url, autocommit=True) as legacy:
        legacy.execute("DROP PUBLICATION bench")
        legacy.execute("SELECT pg_drop_replication_slot('bench')")
    return seconds


# --- cut-over -----------------------------------------------------------------------------


def holds(ground: Ground, stack: ExitStack) -> None:
    """How long a tenant's writes wait while it moves under load, by its size."""
    from bench.traffic import Traffic
    from flags.models import TenantHome
    from migration_portal.cutover import ask, guard
    from migration_portal.cutover.models import Cutover

    groups = _tenants_by_size(ground)
    for name, extra in (
        ("worker", ["-Q", "follow", "--concurrency", "3"]),
        ("beat", ["--pidfile=", "-s", str(ground.home / "b")]),
    ):
        log = stack.enter_context((ground.home / f"{name}.log").open("ab"))
        command = [sys.executable, "-m", "celery", "-A", "config", name, *extra]
        process = subprocess.Popen(command, cwd=embedded.PROJECT, stdout=log, stderr=log, start_new_session=True)
        stack.callback(process.wait)
        stack.callback(process.terminate)
    every = [id for ids in groups.values() for id in ids]
    _wait(lambda: ask.know_tenants() and TenantHome.objects.filter(pk__in=every).count() == len(every), 120)
    _wait(_lag_is_small, 120)
    guard.switch(on=True, by="bench")
    traffic = Traffic(ground.legacy_url, ground.iam_url, writers=4, seed=1, pause=0.002)
    traffic.start()
    table = Table(title="Cut-over under load: how long a tenant's writes waited")
    for column in ("Users", "Tenants", "Moved", "Hold p50, ms", "Hold p99, ms", "Failed requests"):
        table.add_column(column, justify="right")
    for users, ids in groups.items():
        chosen = list(TenantHome.objects.filter(pk__in=ids))
        before = len(traffic.errors)
        asked = ask.cut_over(chosen, by="bench", wave=str(users))
        _wait(lambda: not Cutover.objects.filter(state__in=("asked", "preparing", "holding")).exists(), 300)
        made = list(Cutover.objects.filter(pk__in=[c.pk for c in asked]))
        held = sorted(c.hold_ms for c in made if c.hold_ms is not None)
        for error in {c.error for c in made if c.error}:
            console.print(error, style="yellow")
        p99 = held[min(len(held) - 1, int(len(held) * 0.99))] if held else 0
        table.add_row(
            f"{users:,}", str(len(chosen)), str(len(held)), f"{statistics.median(held) if held else 0:.0f}",
            f"{p99:.0f}", str(len(traffic.errors) - before),
        )  # fmt: skip
    traffic.stop()
    console.print(table)
    waits = sorted(wait for writer in traffic.writers for wait in writer.waits)
    slowest = waits[int(len(waits) * 0.999)] * 1000
    console.print(f"{traffic.acknowledged:,} writes acknowledged meanwhile; 99.9 % of them within {slowest:.0f} ms.")


def _tenants_by_size(ground: Ground) -> dict[int, list[str]]:
    """Give some tenants exactly 10, 100, 1,000 and 10,000 users, through legacy, as its owner would."""
    sizes = {10: 20, 100: 20, 1000: 10, 10_000: 2}
    groups: dict[int, list[str]] = {}
    with psycopg.connect(ground.legacy_url, autocommit=True) as legacy:
        for size, count in sizes.items():
            for n in range(count):
                row = legacy.execute(
                    "INSERT INTO tenants (id, name, slug, is_active, max_licenses)"
                    " VALUES (gen_random_uuid()::text, %s, %s, true, 10) RETURNING id",
                    [f"Bench {size} {n}", f"bench-{size}-{n}"],
                ).fetchone()
                assert row is not None
                groups.setdefault(size, []).append(row[0])
                legacy.execute(
                    "INSERT INTO users (id, tenant_id, email, username, hashed_password, is_superuser)"
                    " SELECT gen_random_uuid()::text, %s, format('u%%s@example.org', n), format('u%%s', n), 'x', false"
                    " FROM generate_series(1, %s) AS n",
                    [row[0], size],
                )
    return groups


def _lag_is_small() -> bool:
    from migration_portal.catchup.models import Stream

    return Stream.objects.filter(direction="forward", entries__lt=100).exists()


def _wait(condition: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("The bench's workers do not get on; see their logs.")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
