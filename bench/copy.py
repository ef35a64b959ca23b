"""How fast is a run? Ours, end to end, against everything else one would reach for, on the same data in one run.

    make bench                       a million users and as many licences
    make bench ARGS="--users 200000"

Every way starts from the same legacy database and ends with the same rows under the same constraints,
which is checked. One embedded PostgreSQL holds both sides; fsync is on.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

from bench import peers
from bench.ours import Ours
from bench.setup import Result, Setup, scratch
from config import embedded

console = Console(width=150)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = scratch(stack)
        stack.callback(embedded.start().stop)
        compare(Setup(options.users, home))
    return 0


def compare(setup: Setup) -> None:
    """Run every way once, after a warm-up of ours, and print the table and the targets."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    setup.fill()
    setup.make_template()
    console.print(f"{setup.users:,} users and licences, {setup.rows:,} rows in all; {os.cpu_count()} cores")
    with ExitStack() as stack:
        ours = Ours(setup, stack)
        ours.run("warm-up")
        clean, cost = ours.run("ours, end to end")
        clean.same = setup.compare()
        setup.fill(rate=0.01 * 4 / 3)  # three of the four kinds of dirt set rows aside
        dirty, _ = ours.run("1 % bad rows")
    setup.fill()
    results = [clean]
    for peer in peers.PEERS:
        results.append(peer(setup))
        console.print(f"  {results[-1].name}: {results[-1].seconds:.1f} s")
    console.print(_table(clean, results))
    slower = clean.rate / dirty.rate
    console.print(f"With 1 % bad rows: {slower:.2f} of the clean time (target: at most 1.5).")
    console.print(f"Verification: {cost.verify:.2f} of the copy time (target: at most 0.25).")
    console.print(f"Time with no chunk in work: {cost.idle:.1%} of the run (target: at most 5 %).")
    console.print(f"The estimate of the time left: off by {cost.misjudged:.0%}, the median (target: at most 20 %).")
    console.print(f"A worker's memory at its peak: {cost.megabytes} MB (target: at most 150).")


def _table(ours: Result, results: list[Result]) -> Table:
    base = next(result for result in results if result.name == "psql COPY | psql COPY")
    table = Table(title="Users, licences, tenants and settings, from the start to all constraints valid")
    table.add_column("Way")
    for title in ("Rows", "Seconds", "Rows/s", "Against psql", "Ours against it"):
        table.add_column(title, justify="right")
    table.add_column("Same rows and constraints")
    table.add_column("Path")
    for result in sorted(results, key=lambda result: -result.rate):
        figures = ["-"] * 5
        if result.rows:
            ratios = [f"{result.rate / base.rate:.2f}", f"{ours.rate / result.rate:.2f}"]
            figures = [f"{result.rows:,}", f"{result.seconds:.1f}", f"{result.rate:,.0f}", *ratios]
        table.add_row(result.name, *figures, result.same, result.note)
    return table


if __name__ == "__main__":
    sys.exit(main())
