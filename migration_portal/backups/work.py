"""Work that a worker does alone, and that another takes up when it dies.

It beats while it is at it; one that was killed is taken up again by another, from its beginning: a dump is of one snapshot, and a
snapshot ends with the session that took it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any, ClassVar, Self

from django.db import connection, models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from migration_portal.engine.errors import LeaseLost

LEASE = timedelta(seconds=60)
_BEAT_SECONDS = 5.0
_ATTEMPTS = 3
"""Workers that may die of a piece of work before a person has to look."""


class WorkQuerySet(models.QuerySet[Any]):
    def unfinished(self) -> Self:
        return self.filter(finished_at=None)

    def claimable(self) -> Self:
        """What no worker is at."""
        return self.unfinished().filter(Q(beat_at=None) | Q(beat_at__lt=Now() - LEASE))


class Work(models.Model):
    """Requested by an operator or the schedule, done by a worker. `done` of `total` are of the present phase, in bytes."""

    requested_at = models.DateTimeField(auto_now_add=True)
    requested_by = models.CharField(max_length=150)
    started_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=40, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)

    objects = WorkQuerySet.as_manager()

    PHASES: ClassVar[dict[str, float]] = {}
    """The phases in their order, and about which share of the whole time each takes."""

    class Meta:
        abstract = True
        ordering = ["-id"]

    def claim(self) -> bool:
        """Whether this worker has it now. One that has killed several workers fails."""
        mine = type(self).objects.claimable().filter(pk=self.pk)
        if not mine.update(beat_at=Now(), attempts=F("attempts") + 1, started_at=Coalesce("started_at", Now())):
            return False
        self.refresh_from_db()
        if self.attempts > _ATTEMPTS:
            self.finish(error=f"{_ATTEMPTS} workers died of it. Read the log of the workers of the queue “operate”.")
            return False
        return True

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Beat until the end of the block, so that nobody else takes it up."""
        over = Event()

        def beat() -> None:
            try:
                while not over.wait(_BEAT_SECONDS):
                    self._mine().update(beat_at=Now())
            finally:
                connection.close()

        thread = Thread(target=beat, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def report(self, phase: str, done: int = 0, total: int = 0) -> None:
        """How far it is. Raises LeaseLost when another worker has taken it up."""
        self.phase, self.done, self.total = phase, done, total
        if not self._mine().update(phase=phase, done=done, total=total, beat_at=Now()):
            raise LeaseLost("Another worker has taken it up.", subject=str(self))

    def finish(self, *, error: str = "", **more: Any) -> None:
        """Raises LeaseLost when another worker has taken it up."""
        if not self._mine().update(finished_at=Now(), error=error, phase="", **more):
            raise LeaseLost("Another worker has taken it up.", subject=str(self))
        self.refresh_from_db()

    def _mine(self) -> models.QuerySet[Any]:
        return type(self).objects.unfinished().filter(pk=self.pk, attempts=self.attempts)

    @property
    def fraction(self) -> float:
        """Of the whole, 0 to 1."""
        before = 0.0
        for phase, share in self.PHASES.items():
            if phase == self.phase:
                return min(before + share * (self.done / self.total if self.total else 0.0), 1.0)
            before += share
        return 1.0 if self.finished_at else 0.0

    @property
    def seconds_left(self) -> int | None:
        """At the pace so far; None while there is no saying."""
        if self.started_at is None or self.finished_at or self.fraction < 0.02:
            return None
        spent = (timezone.now() - self.started_at).total_seconds()
        return round(spent * (1 - self.fraction) / self.fraction)

    @property
    def seconds(self) -> int | None:
        """From its beginning to its end."""
        return (
            round((self.finished_at - self.started_at).total_seconds())
            if self.started_at and self.finished_at
            else None
        )
