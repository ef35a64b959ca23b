"""Baselines: how legacy answered before a wave."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from flags.models import TenantHome
from migration_portal.monitoring.models import Baseline
from migration_portal.monitoring.windows import Window, by_endpoint, window

_OVER = timedelta(days=1)
LEAST = 200
"""Calls without which a 95th percentile says little."""


def take_baseline(wave: str) -> int:
    """Keep what the last day of legacy's answers was like: of all endpoints together, and of each. Returns how many."""
    since, home = timezone.now() - _OVER, str(TenantHome.Home.LEGACY)
    windows = {"": window(since=since, home=home), **by_endpoint(since=since, home=home)}
    rows = [_baseline(wave, endpoint, each) for endpoint, each in windows.items() if each.calls]
    return len(Baseline.objects.bulk_create(rows))


def last_baseline(endpoint: str = "") -> Baseline | None:
    """The youngest from enough calls."""
    return Baseline.objects.filter(endpoint=endpoint, calls__gte=LEAST).first()


def _baseline(wave: str, endpoint: str, each: Window) -> Baseline:
    return Baseline(wave=wave, endpoint=endpoint, calls=each.calls, failed=each.failures, p95=each.p95 or 0.0)
