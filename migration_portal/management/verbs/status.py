"""Where the migration stands, in one screen, for the terminal and for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flags import maintenance
from flags.models import TenantHome
from migration_portal.backups.models import Backup
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.models import Cutover, Stray, Wave
from migration_portal.management.terminal import Terminal, with_plan
from migration_portal.monitoring.models import Alert
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.states import ACTIVE, State


def arguments(verbs: Any) -> None:
    verbs.add_parser("status", help="where the migration stands, and what to do next").add_argument(
        "--json", action="store_true"
    )


def status(out: Terminal, by: str, options: dict[str, Any]) -> None:
    """Raises DatabaseError where a database does not answer."""
    run = Run.objects.in_force() or Run.objects.filter(dry_run=False).first()
    rehearsed = Run.objects.filter(dry_run=True).first()
    told: dict[str, Any] = {
        "run": {"number": run.pk, "state": run.state, "captures": run.capture} if run else None,
        "dry_run": {"number": rehearsed.pk, "state": rehearsed.state} if rehearsed else None,
        "tenants": TenantHome.objects.count(),
        "in_iam": TenantHome.objects.filter(home=TenantHome.Home.IAM).count(),
        "moving": Cutover.objects.under_way().count(),
        "waves": {wave.name: wave.state for wave in Wave.objects.open()},
        "lag": {flow.direction: {"entries": flow.entries, "seconds": flow.lag_seconds, "trouble": flow.trouble}
                for flow in FlowStatus.objects.order_by("direction")},
        "differing": run.differing if run else 0,
        "strays": Stray.objects.filter(run=run.key, state="open").count() if run else 0,
        "quarantined": QuarantinedRow.objects.filter(run=run.key, state="open").count() if run else 0,
        "failures": [each for made in (run, rehearsed) if made and made.state in ACTIVE for each in made.failures],
        "alerts": list(Alert.objects.open().values_list("what", flat=True)),
        "doors": "closed" if maintenance.current() else "open",
        "backup": Backup.objects.missing(),
    }  # fmt: skip
    steps = list(_next(told, run, rehearsed))
    out.answer(told, [*_lines(told), *(f"Next: {step}" for step in steps)], next_steps=steps)


def after(run: Run) -> Iterator[str]:
    """What follows for a run."""
    if run.state == State.FAILED:
        yield f"manage.py portal retry {run.pk}"
        if run.dry_run:
            yield f"manage.py portal cancel {run.pk} --reason …"
    elif run.state == State.PAUSED:
        yield f"manage.py portal resume {run.pk}"
    elif run.state == State.COMPLETED and run.dry_run:
        yield with_plan("start --capture --wait")


def _next(told: dict[str, Any], run: Run | None, rehearsed: Run | None) -> Iterator[str]:
    if run is None:
        begin = [with_plan("preflight"), with_plan("start --dry-run --wait")]
        yield from (list(after(rehearsed)) if rehearsed else []) or begin
        return
    yield from after(run)
    if told["doors"] == "closed":
        yield "manage.py portal doors open"
    if told["differing"]:
        yield f"manage.py portal verify {run.pk}"
    if told["strays"]:
        yield "manage.py portal strays"
    if told["quarantined"]:
        yield "manage.py portal quarantine"
    if told["backup"]:
        yield "manage.py portal backup legacy"
    if run.state == State.COMPLETED and run.capture and told["in_iam"] < told["tenants"]:
        yield "manage.py portal wave plan NAME --percent 25"
    elif told["tenants"] and told["in_iam"] == told["tenants"]:
        yield "manage.py portal surface"


def _lines(told: dict[str, Any]) -> Iterator[str]:
    run = told["run"]
    yield (
        f"Run {run['number']} is {run['state']}{', and captures changes' if run['captures'] else ''}."
        if run
        else "No run yet."
    )
    if told["dry_run"] and not run:
        yield f"Dry run {told['dry_run']['number']} is {told['dry_run']['state']}; nothing of it is in the IAM."
    for failure in told["failures"]:
        yield f"Trouble: {failure}"
    yield f"Tenants in the IAM: {told['in_iam']:,} of {told['tenants']:,}; moving: {told['moving']:,}."
    for name, state in told["waves"].items():
        yield f"Wave {name}: {state}."
    for direction, lag in told["lag"].items():
        yield f"Catch-up {direction}: {lag['entries']:,} entries, {lag['seconds']:.1f} s behind. {lag['trouble']}".rstrip()
    yield f"Rows that differ: {told['differing']:,}; stray writes: {told['strays']:,}; quarantined: {told['quarantined']:,}."
    if told["doors"] == "closed":
        yield "The doors are closed: nobody writes."
    for alert in told["alerts"]:
        yield f"Alert: {alert}"
    if told["backup"]:
        yield str(told["backup"])


VERBS = {"status": status}
