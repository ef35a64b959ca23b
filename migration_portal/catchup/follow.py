"""Follow: the loop that keeps a direction caught up. One at a time, by advisory lock; it arms itself again."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from migration_portal.catchup.flows import FLOWS, captured_run
from migration_portal.catchup.models import FlowStatus, LagSample
from migration_portal.engine import capture
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.errors import describe
from migration_portal.engine.verify import continuous
from migration_portal.locks import Lock, only_one
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run

log = structlog.get_logger(__name__)
_TURN_SECONDS = 15.0
"""Then the task ends and arms another: a message must not stay unacknowledged for long."""
_BATCH_SECONDS = 0.4
"""What a batch should take: long enough to be efficient, short enough that a cut-over never waits long for it."""
_SMALLEST, _LARGEST = 100, 20_000
_KEPT = timedelta(hours=24)


def follow(direction: str, *, seconds: float = _TURN_SECONDS) -> int:
    """Apply what is captured for a while. Returns entries applied; 0 at once when there is nothing to follow.

    Never raises for what the operator is told on the flow's status.
    """
    run = captured_run()
    if run is None or any(not other.loaded for other in [run, *Run.objects.active().filter(dry_run=False)]):
        return 0  # a copy under way would overwrite what is newer
    with only_one(connection, Lock.FOLLOW, 1 if direction == "forward" else 2) as alone:
        if not alone:
            return 0
        status, _ = FlowStatus.objects.update_or_create(
            direction=direction, defaults={"run": run}, create_defaults={"run": run}
        )
        try:
            return _turn(status, run, seconds)
        except (Refusal, psycopg.Error) as error:
            refusal = error if isinstance(error, Refusal) else describe(error)
            log.warning("catchup_stopped", direction=direction, error=str(refusal))
            FlowStatus.objects.filter(pk=direction).update(error=str(refusal), beat_at=timezone.now())
    return 0


def _turn(status: FlowStatus, run: Run, seconds: float) -> int:
    until, total, since, sampled = time.monotonic() + seconds, 0, 0, 0.0
    with FLOWS[status.direction](run, "catch-up") as flow:
        if not capture.installed(flow.queue):
            return 0
        _check_watched(flow)
        while time.monotonic() < until:
            done = batches.batch(flow, most=status.batch_size)
            total, since = total + done.entries, since + done.entries
            if done.entries >= status.batch_size // 2:
                status.batch_size = _tuned(status.batch_size, done.seconds)
            if time.monotonic() - sampled >= 1.0:
                _sample(status, flow, since)
                since, sampled = 0, time.monotonic()
                if not Run.objects.filter(pk=run.pk, state=run.state).exists():
                    break  # undone, or a new run: the next turn looks again
            if not done.entries and not _rechecked(status, run, flow):
                time.sleep(0.1)
        _sample(status, flow, since)
    return total


def _check_watched(flow: Flow) -> None:
    if gone := capture.unwatched(flow.queue, flow.transfer.plan):
        raise Refusal(
            f"Changes of {', '.join(gone)} are no longer recorded: its triggers are gone or switched off.",
            subject=f"capture ({flow.direction})",
            todo="Find out who removed them. What changed since is only found by verifying again.",
        )  # fmt: skip


def _rechecked(status: FlowStatus, run: Run, flow: Flow) -> int:
    """While nothing waits to be applied, compare again what was. Returns keys compared."""
    if status.direction != FlowStatus.Direction.FORWARD:
        return 0
    compared, _ = continuous.recheck(flow.transfer, run.verification)
    status.compared += compared
    return compared


def _tuned(size: int, seconds: float) -> int:
    wanted = int(size * min(2.0, max(0.5, _BATCH_SECONDS / max(seconds, 0.01))))
    return max(_SMALLEST, min(_LARGEST, wanted))


def _sample(status: FlowStatus, flow: Flow, applied: int) -> None:
    lag = capture.lag(flow.queue)
    if lag.entries > settings.CAPTURE_MAX_ENTRIES:
        log.warning("queue_compacted", direction=status.direction, dropped=capture.compact(flow.queue))
    now = timezone.now()
    if flow.direction == "forward":
        status.touched = continuous.touched(flow.transfer)
    status.entries, status.retrying, status.lag_seconds = lag.entries, lag.retrying, lag.seconds
    status.applied, status.beat_at, status.error = status.applied + applied, now, ""
    status.save()
    LagSample.objects.create(flow=status, at=now, entries=lag.entries, seconds=lag.seconds, applied=applied)
    if now.second == 0:
        LagSample.objects.filter(at__lt=now - _KEPT).delete()
