"""Minutes added up: how many calls, how they ended, how long they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt

from django.utils import timezone

from legacy_compat.histograms import quantile
from migration_portal.monitoring.models import Minute

Z_99 = 2.5758293035489004
"""Of 99 % confidence, two-sided."""


@dataclass
class Window:
    """Calls of a stretch of time. Quantiles are in milliseconds, at most 2 % off, and None without calls."""

    ok: int = 0
    rejected: int = 0
    failed: int = 0
    timed_out: int = 0
    milliseconds: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, minute: Minute) -> None:
        self.ok += minute.ok
        self.rejected += minute.rejected
        self.failed += minute.failed
        self.timed_out += minute.timed_out
        self.milliseconds += minute.milliseconds
        self.buckets.update({int(number): count for number, count in minute.buckets.items()})

    @property
    def calls(self) -> int:
        return self.ok + self.rejected + self.failures

    @property
    def failures(self) -> int:
        """Those that were not the client's doing."""
        return self.failed + self.timed_out

    @property
    def error_rate(self) -> float:
        return self.failures / self.calls if self.calls else 0.0

    @property
    def average(self) -> float | None:
        return self.milliseconds / self.calls if self.calls else None

    @property
    def p50(self) -> float | None:
        return quantile(self.buckets, 0.5)

    @property
    def p95(self) -> float | None:
        return quantile(self.buckets, 0.95)

    @property
    def p99(self) -> float | None:
        return quantile(self.buckets, 0.99)


def window(*, since: datetime, until: datetime | None = None, home: str = "", endpoint: str = "") -> Window:
    """All minutes that begin in [since, until)."""
    found = Window()
    for minute in _minutes(since, until, home, endpoint):
        found.add(minute)
    return found


def by_endpoint(*, since: datetime, until: datetime | None = None, home: str = "") -> dict[str, Window]:
    """The same for each endpoint, the busiest first."""
    return _grouped((minute.endpoint, minute) for minute in _minutes(since, until, home, ""))


def by_time(
    *, since: datetime, step: timedelta, until: datetime | None = None, home: str = ""
) -> dict[datetime, Window]:
    """The same for each step of that time, in order; steps without calls are left out."""
    seconds = int(step.total_seconds())
    found: dict[datetime, Window] = {}
    for minute in _minutes(since, until, home, ""):
        at = minute.at - timedelta(seconds=int(minute.at.timestamp()) % seconds)
        found.setdefault(at, Window()).add(minute)
    return found


def wilson_lower(failures: int, calls: int) -> float:
    """The lower end of the Wilson score interval, 99 % (Wilson 1927): the failure rate is at least this."""
    if not calls:
        return 0.0
    rate = failures / calls
    middle = rate + Z_99**2 / (2 * calls)
    return (middle - Z_99 * sqrt(rate * (1 - rate) / calls + Z_99**2 / (4 * calls**2))) / (1 + Z_99**2 / calls)


def _minutes(since: datetime, until: datetime | None, home: str, endpoint: str) -> Iterable[Minute]:
    found = Minute.objects.filter(at__gte=since, at__lt=until or timezone.now() + timedelta(days=1))
    if home:
        found = found.filter(home=home)
    if endpoint:
        found = found.filter(endpoint=endpoint)
    return found.iterator()


def _grouped(minutes: Iterable[tuple[str, Minute]]) -> dict[str, Window]:
    found: dict[str, Window] = {}
    for name, minute in minutes:
        found.setdefault(name, Window()).add(minute)
    return dict(sorted(found.items(), key=lambda item: -item[1].calls))
