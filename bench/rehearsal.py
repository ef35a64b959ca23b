"""How true is a forecast? A rehearsal on a validated backup, then the real run on the same machine, side by side.

make bench-rehearsal
make bench-rehearsal ARGS="--users 1000000"
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

from bench.ours import Ours
from bench.setup import Setup, scratch
from config import embedded

console = Console(width=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=300_000)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = scratch(stack)
        os.environ |= {"BACKUP_STORE": str(home / "store"), "BACKUP_WORK": str(home / "work")}
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        setup = Setup(options.users, home)
        setup.fill(rate=0.01)
        _compare(setup, stack)
    return 0


def _compare(setup: Setup, stack: ExitStack) -> None:
    from migration_portal.backups import back_up, check
    from migration_portal.rehearsal import rehearse
    from migration_portal.rehearsal.compare import compared
    from migration_portal.rehearsal.forecast import forecast
    from migration_portal.runs.models import Run
    from migration_portal.runs.start import start
    from migration_portal.schema.apply import apply

    backup = back_up.request("legacy", by="bench")
    back_up.perform(backup)
    checking = check.request(backup, 3, by="bench")
    check.perform(checking)
    made = rehearse.request(by="bench", reason="bench")
    rehearse.perform(made)
    made.refresh_from_db()
    assert not made.error, made.error
    found = forecast(made.measured, made.production)
    console.print(
        f"{setup.users:,} users and as many licences; the rehearsal took {made.seconds} s."
        f" Catch-up: {found.entries_per_second:,} entries/s; writers waited {found.worst_hold_ms:.0f} ms at most;"
        f" {found.requests_failed} of {found.requests} requests failed"
    )
    apply(by="bench")
    Ours(setup, stack)
    run = start(by="bench", capture=True)
    while run.state == "running":
        time.sleep(0.2)
        run = Run.objects.get(pk=run.pk)
    table = Table(title="Forecast and real run, seconds")
    for column in ("", "forecast", "real", "off by"):
        table.add_column(column, justify="right")
    for each in compared(made, found):
        off = f"{100 * each.off:+.0f} %" if each.off is not None else ""
        table.add_row(each.name, f"{each.forecast:.1f}", f"{each.real:.1f}", off)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
