"""What a checkpoint looks at. Each look says whether it passed, or that it cannot be told yet; never a guess."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata

import psycopg
from django.conf import settings
from django.contrib.auth.models import User as Operator
from django.core import checks
from django.db import DatabaseError
from django.utils import timezone
from django_otp import user_has_device

from flags.models import TenantHome
from iam.models import User
from iam.passwords import NONE
from migration_portal.audit import anchors
from migration_portal.backups.models import Backup, Side
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.models import Stray
from migration_portal.engine.errors import describe
from migration_portal.monitoring import synthetic
from migration_portal.monitoring.baseline import LEAST, last_baseline
from migration_portal.monitoring.windows import wilson_lower, window
from migration_portal.refusal import Refusal
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.rollback.models import RollBack
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report

_DAY = timedelta(days=1)
_REHEARSED = timedelta(days=30)
_SLOWER_MS = 200
_LAG_SECONDS = 60
_GOOD_HASHES = ("$2a$", "$2b$", "$2y$", "$argon2")


@dataclass(frozen=True)
class Look:
    """`passed` is None where it cannot be told."""

    group: str
    name: str
    passed: bool | None
    what: str
    todo: str = ""


def look_everywhere() -> Iterator[Look]:
    """Every group; one that cannot be looked at fails by itself and keeps no other from being looked at."""
    for group, look in _GROUPS.items():
        try:
            yield from look(group)
        except (Refusal, psycopg.Error, DatabaseError) as error:
            what = str(describe(error)) if isinstance(error, psycopg.Error) else str(error).splitlines()[0]
            yield Look(group, f"{group} can be looked at", False, what, "Correct that, and take the checkpoint again.")


def _integrity(group: str) -> Iterator[Look]:
    run = Run.objects.in_force()
    if run is None:
        yield Look(group, "Every row is accounted for", None, "No run's rows are in the IAM.")
    else:
        found = report(run)
        lost = sum(table.mismatched for table in found.tables.values())
        rows = sum(table.source for table in found.tables.values())
        yield Look(
            group, "Every row is accounted for", found.passed, f"{rows:,} rows of {run}, {lost:,} of which differ.",
            "" if found.passed else "Read the run's report.",
        )  # fmt: skip
        open_rows = QuarantinedRow.objects.filter(run=run.key, state="open").count()
        yield Look(
            group, "Nothing waits in quarantine", not open_rows, f"Open rows: {open_rows:,}.", "Retry or discard them."
        )
        strays = Stray.objects.filter(run=run.key, state="open").count()
        yield Look(
            group, "No stray write is undecided", not strays, f"Undecided: {strays:,}.", "Accept or restore them."
        )
    verdict = anchors.verify()
    yield Look(group, "The audit log is as it was written", verdict.intact, str(verdict))


def _performance(group: str) -> Iterator[Look]:
    now, baseline = window(since=timezone.now() - _DAY, home=str(TenantHome.Home.IAM)), last_baseline()
    if now.calls < LEAST or now.p95 is None:
        yield Look(
            group, "As fast as before", None, f"The IAM answered {now.calls:,} requests in a day; {LEAST} are needed."
        )
        return
    failing = wilson_lower(now.failures, now.calls)
    yield Look(
        group,
        "Answers do not fail",
        failing < 0.01,
        f"{now.failures:,} of {now.calls:,} requests failed.",
        "See Health.",
    )
    if baseline is None:
        yield Look(group, "As fast as before", None, "There is no baseline: one is taken before each wave.")
        return
    slower = now.p95 - baseline.p95
    what = f"p95 is {now.p95:.0f} ms, {slower:+.0f} ms against the baseline."
    yield Look(group, "As fast as before", slower <= _SLOWER_MS, what, "See Health for which endpoints.")


def _experience(group: str) -> Iterator[Look]:
    """A client of our own signs in and walks both doors, as a user would."""
    if not settings.CHECKPOINT_USER:
        yield Look(group, "A user can sign in and work", None, "CHECKPOINT_USER names no user to sign in as.")
        return
    for name, walk in (
        ("through the legacy endpoints", synthetic.legacy_door),
        ("through the new API", synthetic.new_door),
    ):
        began = time.monotonic()
        trouble = walk(*settings.CHECKPOINT_USER.split(":", 2))
        what = trouble or f"It took {time.monotonic() - began:.1f} s."
        yield Look(
            group,
            f"A user can sign in and work {name}",
            not trouble,
            what,
            "See the web server's log." if trouble else "",
        )


def _security(group: str) -> Iterator[Look]:
    warnings = [found for found in checks.run_checks(include_deployment_checks=True) if found.level >= checks.WARNING]
    told = "; ".join(f"{found.id}: {str(found.msg).partition('. ')[0]}" for found in warnings[:3]) or "None."
    yield Look(group, "The deployment checks are clean", not warnings, told, "See manage.py check --deploy.")
    users = User.objects.exclude(hashed_password__regex=NONE)
    weak = users.count() - sum(users.filter(hashed_password__startswith=prefix).count() for prefix in _GOOD_HASHES)
    what = f"Users with another hash than bcrypt or Argon2: {weak:,}."
    yield Look(group, "Passwords are hashed well", not weak, what, "They are hashed anew when those users sign in.")
    yield Look(
        group,
        "Superusers are known",
        None,
        f"In the IAM: {users.filter(is_superuser=True).count():,}. Compare with yesterday.",
    )
    without = [
        one.username for one in Operator.objects.filter(is_active=True, is_staff=True) if not user_has_device(one)
    ]
    needed = settings.CONSOLE_SECOND_FACTOR
    yield Look(
        group, "Operators have a second factor", not without if needed else None,
        f"Without: {', '.join(sorted(without)[:5]) or 'nobody'}.", "They enrol at their next sign-in.",
    )  # fmt: skip
    other = sorted(name for name, wanted in _pins().items() if _installed(name) != wanted)
    yield Look(
        group,
        "Dependencies are those that were tested",
        not other,
        f"Others: {', '.join(other) or 'none'}.",
        "pip install -r requirements.txt",
    )


def _pins() -> dict[str, str]:
    lines = (settings.BASE_DIR / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.partition("[")[0]: version for name, version in pairs}


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _readiness(group: str) -> Iterator[Look]:
    for side in (Side.LEGACY, Side.IAM):
        last = Backup.objects.validated(side).first()
        age = (
            f"{(timezone.now() - last.taken_at).total_seconds() / 3600:.1f} h old" if last and last.taken_at else "none"
        )
        fresh = bool(
            last
            and last.taken_at
            and timezone.now() - last.taken_at < timedelta(hours=settings.BACKUP_FRESH_HOURS or 48)
        )
        yield Look(
            group,
            f"{side.label} can be restored",
            fresh,
            f"The last validated backup: {age}.",
            "" if fresh else "Back up, and verify up to level 3.",
        )
    rehearsed = Rehearsal.objects.filter(error="").exclude(finished_at=None).values_list("finished_at", flat=True)
    rolled_back = RollBack.objects.filter(rehearsal=True, outcome=RollBack.Outcome.DONE).values_list(
        "ended_at", flat=True
    )
    for what, at in (
        ("The migration was rehearsed", rehearsed.first()), ("A roll-back was rehearsed", rolled_back.first()),
    ):  # fmt: skip
        lately = bool(at and timezone.now() - at < _REHEARSED)
        yield Look(
            group, f"{what} in {_REHEARSED.days} days", lately if at else None,
            f"Last on {at:%Y-%m-%d}." if at else "It never was.", "" if lately else "Rehearse.",
        )  # fmt: skip
    reverse = FlowStatus.objects.filter(pk="reverse").first()
    if reverse is None or not reverse.begun:
        final = TenantHome.objects.filter(final=True).exists()
        what = "They are final." if final else "No tenant lives in the IAM."
        yield Look(group, "Tenants can be reversed", None, what)
        return
    well = not reverse.trouble and reverse.lag_seconds < _LAG_SECONDS
    what = reverse.trouble or f"Reverse sync is {reverse.lag_seconds:.0f} s behind."
    yield Look(group, "Tenants can be reversed", well, what, "" if well else "See Cut-over.")


_GROUPS: dict[str, Callable[[str], Iterator[Look]]] = {
    "Data integrity": _integrity, "Performance": _performance, "User experience": _experience, "Security": _security,
    "Roll-back readiness": _readiness,
}  # fmt: skip
