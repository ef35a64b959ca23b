"""Follow: the loop that keeps a direction caught up. One at a time, by advisory lock; it arms itself again."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from migration_portal.catchup.caught_up import Teller
from migration_portal.catchup.flows import FLOWS, captured_run
from migration_portal.catchup.models import FlowStatus, LagSample
from migration_portal.engine import capture, capture_queue, guard, recovery
from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.errors import describe
from migration_portal.engine.verify import continuous
from migration_portal.locks import Lock, only_one
from migration_portal.refusal import Refusal
from migration_portal.runs.drift import drift
from migration_portal.runs.models import Run
from migration_portal.runs.states import State
from migration_portal.runs.verify import verify

log = structlog.get_logger(__name__)
_TURN_SECONDS = 15.0
"""Then the task ends and arms another: a message must not stay unacknowledged for long."""
_BATCH_SECONDS = 0.4
"""What a batch should take: long enough to be efficient, short enough that a cut-over never waits long for it."""
_PAUSE_SECONDS = 0.1
_SMALLEST, _LARGEST = 100, 20_000
_KEPT = timedelta(hours=24)
_teller = Teller()
"""Of this process, from turn to turn."""


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
            FlowStatus.objects.filter(pk=direction).update(error=str(refusal), beat_at=Now())
    return 0


def _turn(status: FlowStatus, run: Run, seconds: float) -> int:
    total, since, sampled = 0, 0, 0.0
    looks: continuous.Looks = {}
    with FLOWS[status.direction](run, "catch-up") as flow:
        if not capture.installed(flow.queue):
            if status.direction == FlowStatus.Direction.FORWARD or flow.homes():
                raise Refusal(
                    "Changes are no longer recorded: our triggers and their queue are gone.",
                    subject=f"capture ({status.direction})",
                    todo="Find out who removed them. What changed since is only found by verifying again.",
                )
            FlowStatus.objects.filter(pk=status.pk).update(beat_at=Now(), error="")
            return 0  # nothing to follow yet, and well
        _keep_watching(flow)
        note = drift(run, flow.transfer) if status.direction == FlowStatus.Direction.FORWARD else ""
        _look_for_restarts(status, run, flow)
        until = time.monotonic() + seconds  # however long it took to get here: a turn that applies nothing helps nobody
        while time.monotonic() < until:
            done = batches.batch(flow, most=status.batch_size)
            total, since = total + done.entries, since + done.entries
            behind = done.entries >= status.batch_size // 2
            if behind:
                status.batch_size = _tuned(status.batch_size, done.seconds)
            if flow.direction == "forward":
                _teller.tell(flow, run)
            if time.monotonic() - sampled >= 1.0:
                _sample(status, flow, since, note)
                since, sampled = 0, time.monotonic()
                if not Run.objects.filter(pk=run.pk, state=run.state).exists():
                    break  # undone, or a new run: the next turn looks again
            compared = 0 if behind else _rechecked(status, run, flow, looks)
            if not done.entries and not compared:
                time.sleep(min(_PAUSE_SECONDS, max(until - time.monotonic(), 0)))
        _sample(status, flow, since, note)
    return total


def _keep_watching(flow: Flow) -> None:
    """Bring an earlier version's triggers up to date. Raises Refusal when changes are not recorded."""
    plan, catalog = flow.transfer.plan, flow.transfer.source_catalog
    upgraded = capture.upgrade(flow.queue, plan, catalog)
    if changed := capture.keep_up(flow.queue, plan, catalog):
        log.warning("partitions_changed", direction=flow.direction, tables=changed)
    if guard.guarded(flow.queue, plan) and (upgraded or not guard.current(flow.queue, plan)):
        guard.install_guard(flow.queue, plan, catalog, by_default=flow.by_default)
    if gone := capture.unwatched(flow.queue, flow.transfer.plan):
        raise Refusal(
            f"Changes of {', '.join(gone)} are no longer recorded: its triggers are gone or switched off.",
            subject=f"capture ({flow.direction})",
            todo="Find out who removed them. What changed since is only found by verifying again.",
        )  # fmt: skip


def _rechecked(status: FlowStatus, run: Run, flow: Flow, looks: continuous.Looks) -> int:
    """While little waits to be applied, compare again what was. Returns keys compared."""
    if status.direction != FlowStatus.Direction.FORWARD:
        return 0
    # Both may be others by now than when the turn began.
    transfer = replace(flow.transfer, in_iam=flow.homes())
    number = Run.objects.values_list("verification", flat=True).get(pk=run.pk)
    compared, _ = continuous.recheck(transfer, number, looks)
    status.compared += compared
    return compared


def _tuned(size: int, seconds: float) -> int:
    wanted = int(size * min(2.0, max(0.5, _BATCH_SECONDS / max(seconds, 0.01))))
    return max(_SMALLEST, min(_LARGEST, wanted))


def _look_for_restarts(status: FlowStatus, run: Run, flow: Flow) -> None:
    """A server that restarted, or that another took over for, may have lost its last commits: compare everything again."""
    servers = [recovery.incarnation(connection) for connection in (flow.queue, flow.ledger)]
    if servers == status.servers:
        return
    if status.servers and status.direction == FlowStatus.Direction.FORWARD:
        if run.state != State.COMPLETED:
            return  # a verification under way may have passed by already: then another follows
        verify(run, by="system", reason="A server restarted or failed over: its last commits are verified again.")
    status.servers = servers
    status.save(update_fields=["servers"])


def _sample(status: FlowStatus, flow: Flow, applied: int, note: str) -> None:
    lag = capture_queue.lag(flow.queue)
    if lag.entries > settings.CAPTURE_MAX_ENTRIES:
        log.warning(
            "queue_compacted", direction=status.direction, dropped=capture_queue.compact(flow.queue, flow.left())
        )
    capture_queue.limit(flow.queue, lag.entries, 2 * settings.CAPTURE_MAX_ENTRIES)
    now = timezone.now()
    if flow.direction == "forward":
        status.touched = continuous.touched(flow.transfer)
    status.entries, status.retrying, status.lag_seconds = lag.entries, lag.retrying, lag.seconds
    status.applied, status.error = status.applied + applied, note
    status.save()
    FlowStatus.objects.filter(pk=status.pk).update(beat_at=Now())
    LagSample.objects.create(flow=status, at=now, entries=lag.entries, seconds=lag.seconds, applied=applied)
    if now.second == 0:
        forget_samples(now)


def forget_samples(now: datetime) -> None:
    """A day of them is kept."""
    LagSample.objects.filter(at__lt=now - _KEPT).delete()
