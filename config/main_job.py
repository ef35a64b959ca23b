"""`make run`: the whole product on one machine, from nothing to a verified migration.

Starts what is not configured to be elsewhere, fills the legacy database with a sample, runs the
migration through real workers, prints the reconciliation, and keeps serving the console.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environ
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from config import embedded
from config.embedded.process import for_us_alone
from config.supervisor import Start, Supervisor

if TYPE_CHECKING:
    from migration_portal.runs.models import Run
    from migration_portal.runs.report import Report

console = Console()
POLL_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
RELEASED_PLAN = embedded.PROJECT / "migration_portal/plan/plans/sigma_permit_released.toml"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 when every row is accounted for, 1 when not, 2 when it could not be run."""
    options = _options(arguments)
    # Our own: a shell that starts us in the background, and some CI runners, leave SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    environ.Env.read_env(embedded.PROJECT / ".env")  # before servers start: it may say where, and which
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if options.plan:
        os.environ["MIGRATION_PLAN"] = str(options.plan.resolve() / "plan.toml")
    if options.flavour == "released":
        os.environ.setdefault("MIGRATION_PLAN", str(RELEASED_PLAN))
        os.environ.setdefault("LEGACY_CONTRACT", "observed")
    try:
        with ExitStack() as stack:
            embedded.home().mkdir(parents=True, exist_ok=True)
            supervisor = Supervisor(embedded.home() / "pids.json")
            stack.callback(supervisor.stop)
            _start_servers(supervisor)
            os.environ["LOG_LEVEL"] = "WARNING"  # of this process: the terminal is for the operator
            import django

            django.setup()
            return _job(supervisor, options)
    except embedded.EmbeddedError as error:
        console.print(f"[red]{error}[/red]")
        return 2
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run ARGS=…", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000, help="users of the sample legacy system")
    parser.add_argument("--tenants", type=int, default=0, help="its tenants (default: one for every 100 users)")
    parser.add_argument(
        "--flavour",
        choices=["documented", "released"],
        default="documented",
        help="whose schema the sample has: %(default)s",
    )
    parser.add_argument(
        "--plan", type=Path, help="a directory with a plan and a legacy system of its own, as those in examples/"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=8000, help="of the console; the next free one is taken")
    parser.add_argument("--exit", action="store_true", help="exit after the run instead of serving the console")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--serve", action="store_true", help="only serve: no sample and no run")
    return parser.parse_args(arguments)


def _start_servers(supervisor: Supervisor) -> None:
    needs_postgres = not all(os.environ.get(f"{name}DATABASE_URL") for name in ("", "LEGACY_", "IAM_"))
    if needs_postgres:
        with console.status("Starting PostgreSQL"):
            supervisor.add("postgres", lambda: embedded.start(redis=False).postgres, embedded.STOP_POSTGRES)
    if not os.environ.get("REDIS_URL"):
        with console.status("Starting Redis"):
            supervisor.add("redis", lambda: embedded.start(postgres=False).redis)


def _job(supervisor: Supervisor, options: argparse.Namespace) -> int:
    import psycopg
    from django.core.management import call_command
    from django.db import DatabaseError

    from migration_portal import databases
    from migration_portal.engine.errors import describe
    from migration_portal.refusal import Refusal

    try:
        if options.exit:
            with databases.both("main job"):
                pass  # nobody waits for the console: what cannot be reached is said before anything is begun
    except Refusal as refusal:
        return _tell(refusal)
    with console.status("Preparing the portal's database"):
        call_command("migrate", verbosity=0, interactive=False)
        passwords = _operators()
    url = _start_processes(supervisor, options)
    console.print(f"Console  [bold]{url}[/bold]")
    for name, does in _OPERATORS.items():
        said = (
            f"password [bold]{passwords[name]}[/bold]"
            if name in passwords
            else "(password as printed at the first start)"
        )
        console.print(f"   user [bold]{name}[/bold], who {does}   {said}")
    code = 0
    if not options.serve:
        try:
            code = _migrate_sample(options)
        except Refusal as refusal:
            code = _tell(refusal)
        except (psycopg.Error, DatabaseError) as error:
            cause = error if isinstance(error, psycopg.Error) else error.__cause__
            code = _tell(describe(cause) if isinstance(cause, psycopg.Error) else Refusal(str(error)))
    if options.exit:
        return code
    console.print("Serving the console; Ctrl-C stops everything.")
    signal.pause()
    return code


def _tell(refusal: Exception) -> int:
    console.print(f"{refusal}", style="red", markup=False)
    return 2


_OPERATORS = {"operator": "does the work", "approver": "agrees to what restores, removes or reaches more people"}
"""The accounts of a first start, each in the group of its name: nobody holds both."""


def _operators() -> dict[str, str]:
    """Create those that are missing. Returns their passwords by name, which nobody learns again."""
    from django.contrib.auth.models import Group, User

    passwords = {}
    for name in _OPERATORS:
        user, created = User.objects.get_or_create(username=name, defaults={"is_staff": True})
        if created:
            passwords[name] = secrets.token_urlsafe(12)
            user.set_password(passwords[name])
            user.save()
            user.groups.add(Group.objects.get(name=name))
    return passwords


def _start_processes(supervisor: Supervisor, options: argparse.Namespace) -> str:
    """Web server, workers and beat, each in its own session: Ctrl-C reaches only us, and we stop them in order."""
    port = _port(options.port)
    for directory in ("static", "logs"):
        (embedded.home() / directory).mkdir(parents=True, exist_ok=True)
    worker = ["celery", "-A", "config", "worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
    beat = ["celery", "-A", "config", "beat", "--pidfile=", "--loglevel", "WARNING"]
    supervisor.add("web", _process("web", ["config.serve", "--bind", f"127.0.0.1:{port}"]))
    supervisor.add("worker", _process("worker", worker))
    follower = [*worker, "-Q", "follow", "--concurrency", "3", "--hostname", "follow@%h"]
    supervisor.add("follower", _process("follower", follower))
    # Backups and the like take their time: neither chunks nor loops wait behind them.
    operate = [*worker, "-Q", "operate", "--concurrency", "2", "--hostname", "operate@%h"]
    supervisor.add("operate", _process("operate", operate))
    supervisor.add("beat", _process("beat", beat))
    return f"http://127.0.0.1:{port}/admin/"


_ENVIRONMENT = {"LOG_LEVEL": "INFO", "CELERY_SKIP_CHECKS": "1"}
"""We migrated, which checks the project: a worker that checks it once more starts a third later."""


def _process(name: str, module: list[str]) -> Start:
    def start() -> subprocess.Popen[bytes]:
        with open(embedded.home() / "logs" / f"{name}.log", "ab", opener=for_us_alone) as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module], cwd=embedded.PROJECT, env=os.environ | _ENVIRONMENT,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    return start


def _port(wish: int) -> int:
    import socket

    for port in range(wish, wish + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise embedded.EmbeddedError(f"No free port between {wish} and {wish + 99}. Pass --port.")


def _migrate_sample(options: argparse.Namespace) -> int:
    from migration_portal import databases
    from migration_portal.inventory.requests import take_now
    from migration_portal.runs.report import report
    from migration_portal.runs.start import start
    from migration_portal.sample import examples
    from migration_portal.sample.dirt import FLAVOURS
    from migration_portal.sample.fill import fill
    from migration_portal.schema.apply import apply

    try:
        dirt = FLAVOURS[options.flavour](options.users, options.tenants or max(10, options.users // 100))
    except ValueError as error:
        console.print(f"[red]{error}[/red]")
        return 2
    with databases.iam("main job") as iam:
        if _holds_rows(iam):
            console.print("The IAM holds the rows of an earlier run; they stay. Remove .portal/ to begin again.")
            return 0
    what = options.plan.name if options.plan else f"{dirt.users:,} users"
    with console.status(f"Filling the legacy database with {what}"):
        with databases.legacy_writable("sample") as legacy:
            ours = not os.environ.get("LEGACY_DATABASE_URL")
            if options.plan:
                examples.fill_legacy(legacy, options.plan, replace=ours)
            else:
                fill(legacy, dirt, seed=options.seed, replace=ours)
        apply(by="operator")
        if not options.plan:
            take_now("inventory", by="operator")
    run = start(by="operator", capture=True)
    watch(run)
    result = report(run)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result.as_dict(), indent=2) + "\n")
    return 0 if result.passed else 1


def _holds_rows(iam: Any) -> bool:
    row = iam.execute("SELECT to_regclass('public.users')").fetchone()
    if row[0] is None:
        return False
    return bool(iam.execute("SELECT EXISTS (SELECT FROM public.users)").fetchone()[0])


def watch(run: Run) -> None:
    """Show the run's progress until it ends or needs the operator."""
    from django.db import DatabaseError, connections

    from migration_portal.refusal import Refusal
    from migration_portal.runs.progress import progress_of
    from migration_portal.runs.states import State

    bar = Progress(
        TextColumn("{task.description:<18}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=console,
    )  # fmt: skip
    with bar:
        tasks: dict[str, Any] = {}
        away_since: float | None = None
        while True:
            try:
                run.refresh_from_db()
                now = progress_of(run)
                away_since = None
            except (Refusal, DatabaseError):
                # A server that was restarted comes back; one that does not is told in the end.
                connections.close_all()
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE_SECONDS:
                    raise
                time.sleep(1)
                continue
            lines = [(t.name, t.fraction, f"{t.rows:>10,} rows  {t.stage}") for t in now.tables]
            for name, fraction, note in [*lines, ("the whole run", now.fraction, str(now.left or ""))]:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=1.0, note="")
                bar.update(tasks[name], completed=fraction, note=note)
            if run.state not in (State.RUNNING, State.UNDOING):
                return
            time.sleep(POLL_SECONDS)


def show(result: Report) -> None:
    """Print the reconciliation."""
    table = Table(title=f"Run {result.run}: {result.state} in {result.seconds:.1f} s")
    table.add_column("Table")
    for title in ("Source", "Copied", "Quarantined", "Mismatched", "Rows/s"):
        table.add_column(title, justify="right")
    table.add_column("Reasons")
    for name, row in result.tables.items():
        why = "\n".join(f"{count:,} {reason}" for reason, count in sorted(row.reasons.items()))
        table.add_row(
            name, f"{row.source:,}", f"{row.copied:,}", f"{row.quarantined:,}", f"{row.mismatched:,}",
            f"{row.rows_per_second:,}", why,
            style=None if row.accounted else "red",
        )  # fmt: skip
    console.print(table)
    marks = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "error": "[red]✗[/red]"}
    for check in result.checks:
        console.print(f" {marks[check['severity']]} {check['name']}: {check['summary']}")
    verdict = "Every row is accounted for." if result.accounted else "Rows are not accounted for."
    console.print(f"[bold {'green' if result.passed else 'red'}]{verdict}[/]")


if __name__ == "__main__":
    sys.exit(main())
