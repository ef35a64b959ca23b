"""How fast tenants move, by how many at once; each round moves as many tenants, all of the same size.

make bench-moves
make bench-moves ARGS="--tenants 60 --users 10"
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.setup import scratch
from config import embedded

console = Console(width=110)
AT_ONCE = (1, 2, 4, 8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=60, help="in each round")
    parser.add_argument("--users", type=int, default=10, help="of each tenant")
    options = parser.parse_args()
    with ExitStack() as stack:
        scratch(stack)
        # Nobody else works here: no loop beats, no backup is taken.
        os.environ |= {"CUTOVER_MAX_LAG_SECONDS": "1e9", "BACKUP_FRESH_HOURS": "0"}
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        _measure(options)
    return 0


def _measure(options: Any) -> None:
    from django.conf import settings
    from django.core.management import call_command

    from flags.models import TenantHome
    from migration_portal import databases
    from migration_portal.catchup.follow import follow
    from migration_portal.cutover import requests
    from migration_portal.cutover.models import Cutover
    from migration_portal.cutover.tenants import sync_tenants
    from migration_portal.cutover.work import work
    from migration_portal.runs.advance import advance
    from migration_portal.runs.start import start
    from migration_portal.runs.work import work as work_on_run
    from migration_portal.sample.dirt import Dirt
    from migration_portal.sample.fill import fill

    call_command("migrate", verbosity=0)
    call_command("portal", "apply_schema", verbosity=0)
    tenants = options.tenants * len(AT_ONCE) + 10
    with databases.legacy_writable("bench") as legacy:
        fill(legacy, Dirt(tenants * options.users, tenants, 0.0), seed=1)
    run = start(by="bench", capture=True)
    while run.state == "running":
        work_on_run(run.pk)
        advance(run)
        run.refresh_from_db()
    sync_tenants()
    left = list(TenantHome.objects.all())
    table = Table(title=f"{options.tenants} tenants of {options.users} users")
    for column in ("at once", "moved", "ms a tenant", "of one after the other", "hold p50, ms", "hold longest, ms"):
        table.add_column(column, justify="right")
    base = 0.0
    for at_once in AT_ONCE:
        follow("forward", seconds=0.5)
        settings.CUTOVER_AT_ONCE = at_once
        chosen, left = left[: options.tenants], left[options.tenants :]
        asked = requests.cut_over(chosen, by="bench")
        began = time.monotonic()
        work()
        each = (time.monotonic() - began) / len(chosen) * 1000
        base = base or each
        made = Cutover.objects.filter(pk__in=[move.pk for move in asked], state="done")
        held = sorted(move.hold_ms for move in made if move.hold_ms is not None)
        table.add_row(
            str(at_once), str(len(held)), f"{each:.0f}", f"{each / base:.2f}", f"{statistics.median(held):.0f}" if held else "–",
            f"{held[-1]:.0f}" if held else "–",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
