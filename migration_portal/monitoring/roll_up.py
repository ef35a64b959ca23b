"""Rolling minutes up out of Redis into PostgreSQL. Again and again for the last few: what comes late is added, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

from legacy_compat import histograms
from migration_portal.monitoring.models import Minute

_LATELY = 5


def roll_up(numbers: Iterable[int] | None = None) -> int:
    """The minutes with these numbers (of minutes since 1970), or the last ones. Returns rows. Raises redis.RedisError."""
    now = histograms.this_minute()
    rows = [row for number in numbers or range(now - _LATELY, now + 1) for row in _rows(number)]
    Minute.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["at", "home", "endpoint"],
        update_fields=[*histograms.KINDS, "milliseconds", "buckets"],
    )  # fmt: skip
    return len(rows)


def catch_up() -> int:
    """Every minute that Redis still has: after the portal's database was away."""
    now = histograms.this_minute()
    return roll_up(range(now - 180, now + 1))


def forget() -> int:
    """Delete minutes and samples older than METRICS_DAYS. Returns how many minutes."""
    return Minute.objects.filter(at__lt=timezone.now() - timedelta(days=settings.METRICS_DAYS)).delete()[0]


def _rows(number: int) -> list[Minute]:
    at = datetime.fromtimestamp(number * 60, UTC)
    rows: dict[tuple[str, str], Minute] = {}
    for (home, endpoint, what), value in histograms.minute(number).items():
        row = rows.setdefault((home, endpoint), Minute(at=at, home=home, endpoint=endpoint, buckets={}))
        if what in histograms.KINDS:
            setattr(row, what, int(value))
        elif what == "ms":
            row.milliseconds = value
        else:
            row.buckets[what.removeprefix("b")] = int(value)
    return list(rows.values())
