"""The strategy document's success criteria, each measured from what is on record, or not measurable yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from flags.models import Flag, TenantHome
from iam.models import User
from legacy_compat.standing import standings
from migration_portal.checkpoints.models import Checkpoint
from migration_portal.monitoring.baseline import LEAST, last_baseline
from migration_portal.monitoring.windows import window
from migration_portal.rollback.models import Complaint
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report

_MONTH, _WEEK = timedelta(days=30), timedelta(days=7)
_RETAINED = 0.99


@dataclass(frozen=True)
class Criterion:
    """`met` is None where it is not measurable yet; `figure` then says what is missing."""

    kind: str
    name: str
    wanted: str
    met: bool | None
    figure: str


def criteria() -> Iterator[Criterion]:
    """All of them, in the document's order. Raises Refusal where the IAM does not answer."""
    yield from _technical()
    yield from _business()


def _technical() -> Iterator[Criterion]:
    kind = "Technical"
    run = Run.objects.in_force()
    if run is None:
        yield Criterion(
            kind, "Data integrity", "100 % of the rows migrated correctly", None, "No run's rows are in the IAM."
        )
    else:
        found = report(run)
        rows = sum(table.source for table in found.tables.values())
        well = sum(table.copied - table.mismatched for table in found.tables.values())
        waiting = QuarantinedRow.objects.filter(run=run.key, state="open").count()
        share = 100 * well / rows if rows else 100.0
        figure = f"{share:.3f} % of {rows:,} rows are in the IAM and equal; {waiting:,} wait in quarantine, undecided."
        met = found.passed and not waiting
        yield Criterion(kind, "Data integrity", "100 % of the rows migrated correctly", met, figure)
    now, baseline = window(since=timezone.now() - _WEEK, home=str(TenantHome.Home.IAM)), last_baseline()
    wanted = "No slower than before"
    if now.calls < LEAST or baseline is None or now.p95 is None:
        yield Criterion(kind, "Performance", wanted, None, "Too few requests in the IAM, or no baseline before a wave.")
    else:
        figure = f"p95 is {now.p95:.0f} ms in the IAM; it was {baseline.p95:.0f} ms in legacy."
        yield Criterion(kind, "Performance", wanted, now.p95 <= baseline.p95 * 1.05, figure)
    # Not what was answered while the doors were closed on purpose.
    both = [window(since=timezone.now() - _MONTH, home=str(home)) for home in TenantHome.Home]
    calls, failures = sum(each.calls for each in both), sum(each.failures for each in both)
    if not calls:
        yield Criterion(kind, "Uptime", "No downtime", None, "No request was counted in 30 days.")
    else:
        figure = f"{calls - failures:,} of {calls:,} requests in 30 days were answered."
        yield Criterion(kind, "Uptime", "No downtime", failures == 0, figure)
    surface = list(standings())
    lost = [each for each in surface if each.open]
    figure = f"{len(surface) - len(lost)} of {len(surface)} endpoints are answered, or were given up by name."
    yield Criterion(kind, "Feature parity", "All existing functionality is preserved", not lost, figure)


def _business() -> Iterator[Criterion]:
    kind, now = "Business", timezone.now()
    moved = list(
        TenantHome.objects.filter(home=TenantHome.Home.IAM, changed_at__lt=now - _MONTH).values_list("pk", flat=True)
    )
    wanted = "99 % of the users go on using the system"
    users = User.objects.filter(tenant_id__in=moved, is_active=True).exclude(last_login=None)
    before = users.filter(last_login__gte=now - 2 * _MONTH).count()
    if not before:
        yield Criterion(kind, "User retention", wanted, None, "No tenant has lived in the IAM for 30 days.")
    else:
        since = users.filter(last_login__gte=now - _MONTH).count()
        figure = (
            f"{since:,} of {before:,} users of the last 60 days have signed in within 30 days of living in the IAM."
        )
        yield Criterion(kind, "User retention", wanted, since >= _RETAINED * before, figure)
    yield _tickets(kind)
    yield Criterion(
        kind,
        "User satisfaction",
        "As high as before, or higher",
        None,
        "Nothing here asks users about it.",
    )
    flags = Flag.objects.filter(derived=False, killed=False, percentage__gt=0).count()
    yield Criterion(
        kind, "Feature adoption", "New features are taken up step by step", flags > 0 or None,
        f"Features that are on for somebody by percentage: {flags}.",
    )  # fmt: skip


def _tickets(kind: str) -> Criterion:
    wanted, now = "No more than before", timezone.now()
    first = Complaint.objects.order_by("at").first()
    if first is None or first.at > now - 2 * _WEEK:
        return Criterion(kind, "Support tickets", wanted, None, "Complaints are on record for less than two weeks.")
    late = Complaint.objects.filter(at__gt=now - _WEEK).count()
    early = Complaint.objects.filter(at__lt=first.at + _WEEK).count()
    figure = f"{late} complaints in the last week; {early} in the first on record."
    return Criterion(kind, "Support tickets", wanted, late <= early, figure)


def days_passed() -> tuple[int, int]:
    """Daily checkpoints that passed, of how many."""
    kept = list(Checkpoint.objects.all()[:60])
    return sum(each.passed for each in kept), len(kept)
