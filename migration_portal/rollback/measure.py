"""What the matrix is told: of requests that the IAM answered, of rows, of complaints, of the migration itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.utils import timezone

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.models import FlowStatus
from migration_portal.engine import ledger
from migration_portal.monitoring.baseline import last_baseline
from migration_portal.monitoring.windows import Window, by_time
from migration_portal.refusal import Refusal
from migration_portal.rollback.matrix import Measured
from migration_portal.rollback.models import Complaint
from migration_portal.runs.models import Run
from migration_portal.runs.states import State

_LONGEST = 6
"""Windows in a row that a rule may ask for."""
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_NONE = Window()


@dataclass(frozen=True)
class Past:
    """The requests and complaints of some time, read once, so that each of its minutes can be measured."""

    minutes: Mapping[datetime, Window]
    complaints: Sequence[tuple[datetime, str]]
    """When, and about what."""
    baseline_p95: float | None

    @classmethod
    def read(cls, since: datetime, until: datetime) -> Self:
        """All that is needed to measure any moment between them."""
        first = since - 5 * _LONGEST * _MINUTE - _MINUTE
        complaints = Complaint.objects.filter(at__gt=since - _HOUR, at__lte=until)
        baseline = last_baseline()
        return cls(
            by_time(since=first, until=until, step=_MINUTE, home=str(TenantHome.Home.IAM)),
            list(complaints.values_list("at", "about")), baseline.p95 if baseline else None,
        )  # fmt: skip

    def measured(self, now: datetime, **more: int | None) -> Measured:
        """As it was then; `more` is what else is known."""
        last = now.replace(second=0, microsecond=0)
        # The whole minutes before, the latest first: a minute that is going on is not judged.
        minutes = [self.minutes.get(last - n * _MINUTE, _NONE) for n in range(1, 5 * _LONGEST + 1)]
        whole = Window()
        for window in minutes[:5]:
            whole.buckets.update(window.buckets)
        about = [about for at, about in self.complaints if now - _HOUR < at <= now]
        return Measured(
            windows={
                length: [_pair(minutes[n : n + length]) for n in range(0, length * _LONGEST, length)] for length in (1, 5)
            },
            p95=whole.p95, p95_requests=sum(whole.buckets.values()), baseline_p95=self.baseline_p95,
            complaints=len(about), ui_complaints=about.count(Complaint.About.UI), **more,
        )  # fmt: skip


def measure() -> Measured:
    """As it is now."""
    now = timezone.now()
    return Past.read(now, now).measured(now, integrity_findings=_findings(), migration_troubles=_troubles())


def _pair(windows: list[Window]) -> tuple[int, int]:
    return sum(window.calls for window in windows), sum(window.failures for window in windows)


def _findings() -> int | None:
    """Rows that differ by the last verification; None before there was one."""
    run = Run.objects.in_force()
    if run is None or run.state != State.COMPLETED:
        return None
    try:
        with databases.iam("matrix") as iam:
            if not ledger.ready(iam):
                return None
    except Refusal:
        return None
    return run.differing


def _troubles() -> int | None:
    """Runs that failed and loops that are not well; None before a run."""
    run = Run.objects.filter(dry_run=False).first()
    if run is None:
        return None
    flows = FlowStatus.objects.all()
    return int(run.state == State.FAILED) + sum(bool(flow.begun and flow.trouble) for flow in flows)
