"""What a backup and its validation cost: against bare pg_dump and pg_restore of the same database, same tools and jobs.

make bench-backup
make bench-backup ARGS="--users 1000000 --rounds 3"
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.setup import Setup, scratch
from config import embedded

console = Console(width=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = scratch(stack)
        os.environ |= {"BACKUP_STORE": str(home / "store"), "BACKUP_WORK": str(home / "work")}
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        Setup(options.users, home).fill()
        _compare(options.users, options.rounds, home)
    return 0


def _compare(users: int, rounds: int, home: Path) -> None:
    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    for n in range(rounds):  # in turns, so that a noisy minute hits both
        bare.append(_bare(home))
        ours.append(_ours())
        console.print(
            f"round {n + 1}: bare {bare[-1][0]:.1f} + {bare[-1][1]:.1f} s, ours {ours[-1][0]:.1f} + {ours[-1][1]:.1f} s"
        )
    table = Table(title=f"Backing up and validating {users:,} users and as many licences, medians of {rounds}")
    for column in ("", "pg_dump / pg_restore, s", "ours, s", "ratio"):
        table.add_column(column, justify="right")
    for name, pick in _COLUMNS.items():
        theirs, mine = (statistics.median(map(pick, taken)) for taken in (bare, ours))
        table.add_row(name, f"{theirs:.1f}", f"{mine:.1f}", f"{mine / theirs:.2f}")
    console.print(table)


_COLUMNS: dict[str, Callable[[tuple[float, float]], float]] = {
    "backup": lambda taken: taken[0], "level 3": lambda taken: taken[1], "both": sum,
}  # fmt: skip


def _bare(home: Path) -> tuple[float, float]:
    from django.conf import settings

    from migration_portal import databases
    from migration_portal.backups import tools

    url = databases.url_of("legacy")
    with databases.of_side("legacy", "bench") as connection:
        place = tools.find(connection.info.server_version // 10000, url).directory
    directory = home / "bare"
    shutil.rmtree(directory, ignore_errors=True)
    jobs, target = f"--jobs={settings.BACKUP_JOBS}", databases.url_of("legacy", database="bare")
    began = time.monotonic()
    subprocess.run(
        [place / "pg_dump", "--format=directory", f"--file={directory}", jobs, "--compress=gzip:1", url], check=True
    )
    dumped = time.monotonic()
    with databases.of_side("legacy", "bench", database="postgres") as server:
        server.execute("DROP DATABASE IF EXISTS bare")
        server.execute("CREATE DATABASE bare TEMPLATE template0")
    subprocess.run([place / "pg_restore", f"--dbname={target}", jobs, directory], check=True)
    return dumped - began, time.monotonic() - dumped


def _ours() -> tuple[float, float]:
    from migration_portal.backups import back_up, check

    began = time.monotonic()
    backup = back_up.request("legacy", by="bench")
    back_up.perform(backup)
    made = time.monotonic()
    found = check.request(backup, 3, by="bench")
    check.perform(found)
    found.refresh_from_db()
    if found.reached != 3:
        raise SystemExit(found.error or found.finding)
    return made - began, time.monotonic() - made


if __name__ == "__main__":
    sys.exit(main())
