"""Follow: the loop that keeps a direction caught up. One at a time, by advisory lock; it arms itself again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from migration_portal.catchup.flows import FLOWS, captured_run
from migration_portal.catchup.models import LagSample, Stream
from migration_portal.engine import capture, catchup, rechecking
from migration_portal.engine.errors import describe
from migration_portal.plan.errors import Refusal
from migration_portal.runs.models import Run

log = structlog.get_logger(__name__)
_LOCK_CLASS = 0x516A
_TURN_SECONDS = 15.0
"""Then the task ends and arms another: a message must not stay unacknowledged for long."""
_AIM_SECONDS = 0.4
"""What a batch should take: long enough to be efficient, short enough that a cut-over never waits long for it."""
_SMALLEST, _LARGEST = 100, 20_000
_KEPT = timedelta(hours=24)


def follow(direction: str, *, seconds: float = _TURN_SECONDS) -> int:
    """Apply what is captured for a while. Returns entries applied; 0 at once when there is nothing to follow.

    Never raises for what the operator is told on the stream.
    """
    run = captured_run()
    if run is None or any(not other.loaded for other in [run, *Run.objects.active().filter(dry_run=False)]):
        return 0  # a copy under way would overwrite what is newer
    with _only_one(direction) as alone:
        if not alone:
            return 0
        stream, _ = Stream.objects.update_or_create(
            direction=direction, defaults={"run": run}, create_defaults={"run": run}
        )
        try:
            return _turn(stream, run, seconds)
        except (Refusal, psycopg.Error) as error:
            refusal = error if isinstance(error, Refusal) else describe(error)
            log.warning("catchup_stopped", direction=direction, error=str(refusal))
            Stream.objects.filter(pk=direction).update(error=str(refusal), beat_at=timezone.now())
    return 0


@contextmanager
def _only_one(direction: str) -> Iterator[bool]:
    number = 1 if direction == "forward" else 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK_CLASS, number])
        locked = bool(cursor.fetchone()[0])
        try:
            yield locked
        finally:
            if locked:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK_CLASS, number])


def _turn(stream: Stream, run: Run, seconds: float) -> int:
    until, total, since, sampled = time.monotonic() + seconds, 0, 0, 0.0
    with FLOWS[stream.direction](run, "catch-up") as flow:
        if not capture.installed(flow.queue):
            return 0
        if gone := capture.unwatched(flow.queue, flow.sides.plan):
            raise Refusal(
                f"Changes of {', '.join(gone)} are not recorded any more: its triggers are gone or switched off.",
                subject=f"capture ({stream.direction})",
                todo="Find out who removed them. What changed since is only found by verifying again.",
            )  # fmt: skip
        while time.monotonic() < until:
            done = catchup.batch(flow, most=stream.batch_size)
            total, since = total + done.entries, since + done.entries
            if done.entries >= stream.batch_size // 2:
                stream.batch_size = _tuned(stream.batch_size, done.seconds)
            if time.monotonic() - sampled >= 1.0:
                _sample(stream, flow, since)
                since, sampled = 0, time.monotonic()
                if not Run.objects.filter(pk=run.pk, state=run.state).exists():
                    break  # undone, or a new run: whoever comes next looks again
            if not done.entries and not _rechecked(stream, run, flow):
                time.sleep(0.1)
        _sample(stream, flow, since)
    return total


def _rechecked(stream: Stream, run: Run, flow: catchup.Flow) -> int:
    """While nothing waits to be applied, compare again what was. Returns keys compared."""
    if stream.direction != Stream.Direction.FORWARD:
        return 0
    compared, _ = rechecking.recheck(flow.sides, run.verification)
    stream.compared += compared
    return compared


def _tuned(size: int, seconds: float) -> int:
    wanted = int(size * min(2.0, max(0.5, _AIM_SECONDS / max(seconds, 0.01))))
    return max(_SMALLEST, min(_LARGEST, wanted))


def _sample(stream: Stream, flow: catchup.Flow, applied: int) -> None:
    lag = capture.lag(flow.queue)
    if lag.entries > settings.CAPTURE_MAX_ENTRIES:
        log.warning("queue_compacted", direction=stream.direction, dropped=capture.compact(flow.queue))
    now = timezone.now()
    if flow.name == "forward":
        stream.touched = rechecking.touched(flow.sides)
    stream.entries, stream.retrying, stream.lag_seconds = lag.entries, lag.retrying, lag.seconds
    stream.applied, stream.beat_at, stream.error = stream.applied + applied, now, ""
    stream.save()
    LagSample.objects.create(stream=stream, at=now, entries=lag.entries, seconds=lag.seconds, applied=applied)
    if now.second == 0:
        LagSample.objects.filter(at__lt=now - _KEPT).delete()
