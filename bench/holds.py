"""How long a tenant's writes wait while it moves, by the number of its users; the third table of `make bench-live`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from bench.setup import Setup
from config import embedded

console = Console(width=120)


def holds(setup: Setup, stack: ExitStack) -> None:
    """How long a tenant's writes wait while it moves under load, by its size."""
    from bench.traffic import Traffic
    from flags.models import TenantHome
    from migration_portal.cutover import guard, requests
    from migration_portal.cutover.models import Cutover
    from migration_portal.cutover.tenants import sync_tenants

    groups = _tenants_by_size(setup)
    for name, extra in (
        ("worker", ["-Q", "follow", "--concurrency", "3"]),
        ("beat", ["--pidfile=", "-s", str(setup.home / "b")]),
    ):
        log = stack.enter_context((setup.home / f"{name}.log").open("ab"))
        command = [sys.executable, "-m", "celery", "-A", "config", name, *extra]
        process = subprocess.Popen(command, cwd=embedded.PROJECT, stdout=log, stderr=log, start_new_session=True)
        stack.callback(process.wait)
        stack.callback(process.terminate)
    every = [id for ids in groups.values() for id in ids]
    _wait(lambda: sync_tenants() and TenantHome.objects.filter(pk__in=every).count() == len(every), 120)
    _wait(_lag_is_small, 120)
    guard.switch(on=True, by="bench")
    traffic = Traffic(setup.legacy_url, setup.iam_url, writers=4, seed=1, pause=0.002)
    traffic.start()
    table = Table(title="Cut-over under load: how long a tenant's writes waited")
    for column in ("Users", "Tenants", "Moved", "Hold p50, ms", "Hold p99, ms", "Failed requests"):
        table.add_column(column, justify="right")
    for users, ids in groups.items():
        chosen = list(TenantHome.objects.filter(pk__in=ids))
        before = len(traffic.errors)
        asked = requests.cut_over(chosen, by="bench", wave=str(users))
        _wait(lambda: not Cutover.objects.filter(state__in=("requested", "preparing", "holding")).exists(), 300)
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
    for error in sorted(set(traffic.errors)):
        console.print(error, style="yellow", markup=False)
    waits = sorted(wait for writer in traffic.writers for wait in writer.waits)
    slowest = waits[int(len(waits) * 0.999)] * 1000
    console.print(f"{traffic.acknowledged:,} writes acknowledged meanwhile; 99.9 % of them within {slowest:.0f} ms.")


def _tenants_by_size(setup: Setup) -> dict[int, list[str]]:
    """Give some tenants exactly 10, 100, 1,000 and 10,000 users, through legacy, as its owner would."""
    sizes = {10: 20, 100: 20, 1000: 10, 10_000: 2}
    groups: dict[int, list[str]] = {}
    with psycopg.connect(setup.legacy_url, autocommit=True) as legacy:
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
                    " SELECT gen_random_uuid()::text, t.id, format('u%%s.%%s@example.org', n, t.id), format('u%%s.%%s', n, t.id),"
                    # Names of their own, because the traffic moves users between tenants.
                    " 'x', false FROM tenants AS t, generate_series(1, %s) AS n WHERE t.id = %s",
                    [size, row[0]],
                )
    return groups


def _lag_is_small() -> bool:
    from migration_portal.catchup.models import FlowStatus

    return FlowStatus.objects.filter(direction="forward", entries__lt=100).exists()


def _wait(condition: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("The bench's workers do not get on; see their logs.")
        time.sleep(0.2)
