"""What proves a task: a measurement, by name, with the object that is its evidence. A new one is a function in `CHECKS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from flags.models import TenantHome
from legacy_compat.standing import standings
from migration_portal import databases
from migration_portal.backups.models import Backup, Side
from migration_portal.checkpoints.models import Checkpoint
from migration_portal.cutover import progress
from migration_portal.cutover.models import Wave
from migration_portal.decommission.remaining import remaining
from migration_portal.deployment.models import Contact
from migration_portal.inventory.models import Inventory, Preflight
from migration_portal.monitoring.models import Alert
from migration_portal.monitoring.parts import parts
from migration_portal.monitoring.windows import window
from migration_portal.notices.models import Notice, Recipient
from migration_portal.refusal import Refusal
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.rollback.models import RollBack
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import Report, report
from migration_portal.schema import scripts
from migration_portal.schema.apply import DIRECTORY

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_LATELY = timedelta(days=90)
_LEAST = 100
"""Calls without which a share or a percentile says little."""
ROLES = ("database administrator", "DevOps lead", "backend lead", "on-call engineer")


@dataclass(frozen=True)
class Result:
    """`passed` is None where it cannot be told yet; `link` leads to the evidence."""

    passed: bool | None
    what: str
    link: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "what": self.what, "link": self.link, "at": timezone.now().isoformat()}


def look(name: str) -> Result:
    """Ask the check. What a database does not answer cannot be told, and says so."""
    check = CHECKS.get(name)
    if check is None:
        return Result(None, f"This version has no check “{name}”.")
    try:
        return check()
    except (DatabaseError, Refusal, psycopg.Error) as error:
        return Result(None, databases.words(error), reverse("health"))


def _of_run(run: Run) -> str:
    return reverse("admin:runs_run_change", args=[run.pk])


def _schema() -> Result:
    with databases.iam("deployment") as iam:
        states = scripts.states(iam, scripts.read(DIRECTORY))
    applied = sum(state.applied for state in states)
    return Result(
        applied == len(states), f"{applied} of {len(states)} schema scripts are applied.", reverse("admin:schema")
    )


def _inventory() -> Result:
    last = Inventory.objects.first()
    if last is None:
        return Result(False, "No inventory has been taken.", reverse("admin:inventory_inventory_changelist"))
    return Result(True, f"{last}.", reverse("admin:inventory_inventory_change", args=[last.pk]))


def _preflight() -> Result:
    last = Preflight.objects.first()
    if last is None:
        return Result(None, "Pre-flight has not run.", reverse("preflight"))
    errors = [finding for finding in last.content.get("findings", ()) if finding["severity"] == "error"]
    return Result(not errors, f"{len(errors)} errors in {last}.", reverse("preflight"))


def _backup() -> Result:
    last = Backup.objects.validated(Side.LEGACY).first()
    missing = Backup.objects.missing()
    link = reverse("backup", args=[last.pk]) if last else reverse("backups")
    return Result(not missing and last is not None, missing or f"{last} is validated.", link)


def _rehearsal() -> Result:
    last = Rehearsal.objects.filter(finished_at__isnull=False).first()
    if last is None:
        return Result(False, "The migration has not been rehearsed.", reverse("rehearsals"))
    link, passed = reverse("rehearsal", args=[last.pk]), not last.error and bool(last.measured.get("passed"))
    return _lately(last.finished_at, Result(passed, f"{last} {'passed' if passed else 'did not pass'}.", link))


def _roll_back_rehearsed() -> Result:
    last = RollBack.objects.filter(rehearsal=True, ended_at__isnull=False).first()
    if last is None:
        return Result(False, "No roll-back has been rehearsed.", reverse("rollback"))
    what = f"{last}, {last.ended_at:%Y-%m-%d}: {last.state}."
    link = reverse("roll_back", args=[last.pk])
    return _lately(last.ended_at, Result(last.outcome == RollBack.Outcome.DONE, what, link))


def _lately(at: datetime | None, result: Result) -> Result:
    """What was so long ago proves nothing."""
    if result.passed and (at is None or at < timezone.now() - _LATELY):
        return Result(False, f"{result.what} That was more than {_LATELY.days} days ago.", result.link)
    return result


def _alerts() -> Result:
    places = len(settings.ALERT_PLACES)
    return Result(
        places > 0, f"Alerts go to {places} place{'' if places == 1 else 's'} (ALERT_PLACES).", reverse("health")
    )


def _no_critical_alert() -> Result:
    said = Alert.objects.open().filter(severity="critical").values_list("what", flat=True).first()
    return Result(said is None, said or "No critical alert is open.", reverse("health"))


def _on_duty() -> Result:
    there = set(Contact.objects.filter(on_duty=True).values_list("role", flat=True))
    missing = [role for role in ROLES if role not in there]
    what = f"Nobody is on duty as {', '.join(missing)}." if missing else "Somebody is on duty in each role."
    return Result(not missing, what, reverse("deployment_contacts"))


def _data_complete() -> Result:
    run = Run.objects.in_force()
    if run is None:
        return Result(False, "No run has copied the data.", reverse("admin:runs_run_changelist"))
    if not run.finished_at or run.finished_at < timezone.now() - _DAY:
        return Result(None, f"{run} was not verified within a day: verify it again.", _of_run(run))
    found = report(run)
    if gone := _empty(run, found):
        return Result(False, f"Empty in the IAM, although {run} filled it: {', '.join(gone)}.", _of_run(run))
    rows = sum(table.source for table in found.tables.values())
    wrong = [check["name"] for check in found.checks if check["severity"] == "error"]
    differ = sum(table.mismatched for table in found.tables.values())
    what = f"{run}: {rows:,} rows, {differ:,} differ; checks that failed: {', '.join(wrong) or 'none'}."
    return Result(found.passed, what, _of_run(run))


def _empty(run: Run, found: Report) -> list[str]:
    """Tables in which nothing is left of what was copied."""
    filled = [name for name, table in found.tables.items() if table.copied]
    with databases.iam("deployment") as iam:
        there = {
            name: iam.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(run.schema, name))).fetchone()
            for name in filled
        }
    return [name for name, row in there.items() if row is None or not row[0]]


def _capabilities() -> Result:
    run = Run.objects.in_force()
    if run is None:
        return Result(False, "No run has derived capabilities.", reverse("capabilities"))
    names = ("capability_", "feature_mfa", "user_mfa", "user_totp")
    checks = [check for check in report(run).checks if check["name"].startswith(names)]
    if not checks:
        return Result(None, f"{run} has not verified capabilities.", _of_run(run))
    wrong = [check["summary"] for check in checks if check["severity"] == "error"]
    return Result(not wrong, " ".join(wrong) or f"{len(checks)} checks of capabilities passed.", _of_run(run))


def _queries() -> Result:
    run = Run.objects.in_force()
    found = next((check for check in report(run).checks if check["name"] == "performance"), None) if run else None
    if run is None or found is None:
        return Result(None, "No verification has timed them.", reverse("admin:runs_run_changelist"))
    return Result(found["severity"] == "ok", found["summary"], _of_run(run))


def _quarantine() -> Result:
    run = Run.objects.in_force()
    if run is None:
        return Result(None, "No run has copied anything.", reverse("admin:runs_quarantinedrow_changelist"))
    count = QuarantinedRow.objects.filter(run=run.key, state="open").count()
    return Result(
        count == 0, f"Undecided rows in quarantine: {count:,}.", reverse("admin:runs_quarantinedrow_changelist")
    )


def _services() -> Result:
    found = parts()
    wrong = [f"{part.name}: {part.trouble}" for part in found if part.trouble]
    wrong += [f"{part.name} has not begun." for part in found if part.seen is None and part.needed]
    return Result(not wrong, " ".join(wrong) or f"All {len(found)} parts are at work.", reverse("health"))


def _sign_in() -> Result:
    last = Checkpoint.objects.first()
    looks = [each for each in last.results if "sign" in each["name"].lower()] if last else []
    if last is None or not looks:
        return Result(None, "No checkpoint has signed in.", reverse("checkpoints"))
    passed = None if any(each["passed"] is None for each in looks) else all(each["passed"] for each in looks)
    return Result(passed, "; ".join(each["what"] for each in looks), reverse("checkpoint", args=[last.pk]))


def _error_rate() -> Result:
    now = window(since=timezone.now() - _DAY, home=str(TenantHome.Home.IAM))
    if now.calls < _LEAST:
        return Result(None, f"Only {now.calls} calls of the IAM in 24 hours.", reverse("health"))
    share = now.failures / now.calls
    return Result(
        share < 0.001, f"{share:.3%} of {now.calls:,} calls failed in 24 hours; wanted: under 0.1 %.", reverse("health")
    )


def _latency() -> Result:
    now = window(since=timezone.now() - _DAY, home=str(TenantHome.Home.IAM))
    if now.calls < _LEAST or now.p95 is None:
        return Result(None, f"Only {now.calls} calls of the IAM in 24 hours.", reverse("health"))
    return Result(
        now.p95 < 200, f"95 % of {now.calls:,} calls took up to {now.p95:.0f} ms; wanted: 200.", reverse("health")
    )


def _uptime() -> Result:
    both = [window(since=timezone.now() - _WEEK, home=str(home)) for home in TenantHome.Home]
    calls, failures = sum(each.calls for each in both), sum(each.failures for each in both)
    if calls < _LEAST:
        return Result(None, f"Only {calls} calls in a week.", reverse("health"))
    share = 1 - failures / calls
    return Result(
        share > 0.999, f"{share:.3%} of {calls:,} calls in a week were answered; wanted: 99.9 %.", reverse("health")
    )


def _endpoints() -> Result:
    lost = [each.name for each in standings() if each.open]
    what = (
        f"Nobody would answer: {', '.join(lost[:5])}."
        if lost
        else "Every endpoint is answered, or was given up by name."
    )
    return Result(not lost, what, reverse("traffic_surface"))


def _share(percent: int) -> Callable[[], Result]:
    def check() -> Result:
        every = TenantHome.objects.count()
        moved = TenantHome.objects.filter(home=TenantHome.Home.IAM).count()
        return Result(
            every > 0 and 100 * moved >= percent * every, f"{moved:,} of {every:,} tenants live in the IAM; wanted: {percent} %.",
            reverse("waves"),
        )  # fmt: skip

    return check


def _first_wave() -> Result:
    ended = list(Wave.objects.filter(state=Wave.State.DONE).order_by("id"))
    moved = {wave: found.moved for wave in ended for found in [progress.of(wave)] if found.moved}
    if not moved:
        return Result(False, "No wave has brought a tenant into the IAM that lives there.", reverse("waves"))
    wave = next(iter(moved))
    return Result(
        True, f"Wave {wave} is done: {moved[wave]:,} of its tenants live in the IAM.", reverse("wave", args=[wave.pk])
    )


def _announced() -> Result:
    sent = Notice.objects.filter(state=Notice.State.SENT).exclude(planned_by="system")
    reached = sent.filter(Exists(Recipient.objects.filter(notice=OuterRef("pk"), state=Recipient.State.SENT)))
    last = (reached | sent.filter(in_app__isnull=False)).first()
    if last is None:
        return Result(False, "No notice has reached anybody.", reverse("notices"))
    return _lately(last.ended_at, Result(True, f"“{last}” was sent.", reverse("notice", args=[last.pk])))


def _decommissioned() -> Result:
    left = [row for row in remaining() if not row.done]
    what = f"{len(left)} things still need legacy: {left[0].what}." if left else "Nothing needs legacy any more."
    return Result(not left, what, reverse("decommission"))


CHECKS: dict[str, Callable[[], Result]] = {
    "schema": _schema, "inventory": _inventory, "preflight": _preflight, "backup": _backup, "rehearsal": _rehearsal,
    "roll_back_rehearsed": _roll_back_rehearsed, "alerts": _alerts, "no_critical_alert": _no_critical_alert, "on_duty": _on_duty,
    "data_complete": _data_complete, "capabilities": _capabilities, "queries": _queries, "quarantine": _quarantine,
    "services": _services, "sign_in": _sign_in, "error_rate": _error_rate, "latency": _latency, "uptime": _uptime,
    "endpoints": _endpoints, "first_wave": _first_wave, "quarter": _share(25), "half": _share(50), "all_tenants": _share(100),
    "announced": _announced, "decommissioned": _decommissioned,
}  # fmt: skip
