"""Baselines: how legacy answered before a wave."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from flags.models import TenantHome
from migration_portal.monitoring.models import Baseline
from migration_portal.monitoring.windows import Window, by_endpoint, window

_OVER = timedelta(days=1)
_LATELY = timedelta(minutes=15)
_SLOWER_MS, _MORE_FAILURES = 200, 0.01
"""Of the 95th percentile, and of the share of failures: more is worse."""
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


def worse() -> str:
    """How much worse the IAM answers than legacy did before the last wave, in a sentence; empty when not, or nobody can tell."""
    base, now = last_baseline(), window(since=timezone.now() - _LATELY, home=str(TenantHome.Home.IAM))
    if base is None or now.calls < LEAST:
        return ""
    if now.p95 is not None and now.p95 > base.p95 + _SLOWER_MS:
        return f"The IAM takes {now.p95:.0f} ms at the 95th percentile, legacy took {base.p95:.0f} before."
    share, before = now.failures / now.calls, base.failed / base.calls
    if share > before + _MORE_FAILURES:
        return f"{share:.1%} of the IAM's answers are failures, of legacy's {before:.1%} were before."
    return ""
