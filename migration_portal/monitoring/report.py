"""The health report: how everything was in the last day, in words, sent once a day to those who are told of alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.backups.models import Backup, Side
from migration_portal.locks import Lock, only_one
from migration_portal.monitoring import alerts
from migration_portal.monitoring.models import Alert
from migration_portal.monitoring.parts import parts
from migration_portal.monitoring.windows import window
from migration_portal.runs.models import Run

_DAY = timedelta(days=1)
_KEY = f"{alerts.NEWS}health-report:"


def report() -> tuple[str, str]:
    """One sentence, and the lines that it is made from."""
    troubled = [part for part in parts() if part.trouble]
    open_ones = Alert.objects.open().count()
    well = not troubled and not open_ones
    said = "All is well." if well else f"Not well: {len(troubled)} parts, {open_ones} alerts are open."
    return f"Health report of {timezone.now():%Y-%m-%d}: {said}", "\n".join(_lines())


def _lines() -> Iterator[str]:
    for part in parts():
        yield f"{part.state:<10} {part.name}{': ' if part.trouble else ''}{part.trouble}"
    for home in TenantHome.Home:
        day = window(since=timezone.now() - _DAY, home=str(home))
        if day.calls:
            assert day.p50 is not None and day.p95 is not None and day.p99 is not None
            yield (
                f"{home.label} answered {day.calls:,} requests in a day, {day.failures:,} failed;"
                f" p50 {day.p50:.0f} ms, p95 {day.p95:.0f} ms, p99 {day.p99:.0f} ms"
            )
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM).count()
    yield f"Tenants in the IAM: {moved:,} of {TenantHome.objects.count():,}"
    for side in Side:
        last = Backup.objects.validated(side).first()
        at = f"of {last.taken_at:%Y-%m-%d %H:%M} UTC" if last and last.taken_at else "none"
        yield f"Last validated backup of {side.label}: {at}"
    for alert in Alert.objects.open():
        yield f"Open since {alert.began_at:%Y-%m-%d %H:%M} UTC: {alert.what}"


def tick() -> None:
    """Send today's, once, after HEALTH_REPORT_HOUR (UTC), from the first run on; none where that is -1."""
    now = timezone.now()
    if settings.HEALTH_REPORT_HOUR < 0 or now.hour < settings.HEALTH_REPORT_HOUR or not Run.objects.exists():
        return
    key = f"{_KEY}{now:%Y-%m-%d}"
    with only_one(connection, Lock.HEALTH_REPORT) as alone:
        if alone and not Alert.objects.filter(key=key).exists():
            alerts.inform(*report(), key=key)
