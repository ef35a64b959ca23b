"""What the matrix is told: of requests that the IAM answered, of rows, of complaints, of the migration itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.models import FlowStatus
from migration_portal.engine import ledger
from migration_portal.monitoring.baseline import last_baseline
from migration_portal.monitoring.models import Minute
from migration_portal.monitoring.windows import Window
from migration_portal.refusal import Refusal
from migration_portal.rollback.matrix import Measured
from migration_portal.rollback.models import Complaint
from migration_portal.runs.models import Finding, Run
from migration_portal.runs.states import State

_LONGEST = 6
"""Windows in a row that a rule may ask for."""
_HOUR = timedelta(hours=1)


def measure(at: datetime | None = None) -> Measured:
    """As it is now, or (of requests and complaints alone) as it was then."""
    now = at or timezone.now()
    baseline, whole = last_baseline(), Window()
    minutes = _by_minute(now)
    for window in minutes[:5]:
        whole.buckets.update(window.buckets)
    complaints = Complaint.objects.filter(at__gt=now - _HOUR, at__lte=now)
    return Measured(
        windows={
            length: [_pair(minutes[n : n + length]) for n in range(0, length * _LONGEST, length)] for length in (1, 5)
        },
        p95=whole.p95, p95_requests=sum(whole.buckets.values()), baseline_p95=baseline.p95 if baseline else None,
        integrity_findings=None if at else _findings(), complaints=complaints.count(),
        ui_complaints=complaints.filter(about=Complaint.About.UI).count(),
        migration_troubles=None if at else _troubles(),
    )  # fmt: skip


def _by_minute(now: datetime) -> list[Window]:
    """The whole minutes before now, the latest first: a minute that is going on is not judged."""
    last = now.replace(second=0, microsecond=0)
    found = [Window() for _ in range(5 * _LONGEST)]
    rows = Minute.objects.filter(home=TenantHome.Home.IAM, at__lt=last, at__gte=last - timedelta(minutes=len(found)))
    for row in rows:
        found[int((last - row.at).total_seconds() // 60) - 1].add(row)
    return found


def _pair(windows: list[Window]) -> tuple[int, int]:
    return sum(window.calls for window in windows), sum(window.failures for window in windows)


def _findings() -> int | None:
    """Rows that differ by the last verification; None before there was one."""
    run = Run.objects.filter(dry_run=False).first()
    if run is None or run.state != State.COMPLETED:
        return None
    try:
        with databases.iam("matrix") as iam:
            if not ledger.ready(iam):
                return None
    except Refusal:
        return None
    found = Finding.objects.filter(run=run.key, verification=run.verification)
    return found.values("table_name", "key").distinct().count()


def _troubles() -> int | None:
    """Runs that failed and loops that are not well; None before a run."""
    run = Run.objects.filter(dry_run=False).first()
    if run is None:
        return None
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM).exists()
    flows = [flow for flow in FlowStatus.objects.all() if moved or flow.direction == FlowStatus.Direction.FORWARD]
    return int(run.state == State.FAILED) + sum(bool(flow.trouble) for flow in flows)
