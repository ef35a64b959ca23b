"""Is it well enough to expose more people to something new? No data is no yes."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt

from django.apps import apps
from django.utils import timezone

from migration_portal.catchup.models import Stream
from migration_portal.runs.models import Finding, Run

_WINDOW = timedelta(minutes=5)
_LEAST, _MOST_FAILING = 100, 0.01
_Z = 2.5758293035489004
"""Of 99 % confidence, two-sided."""


def in_the_way() -> list[str]:
    """What speaks against widening now, in sentences; empty when nothing does."""
    found = [f"Catch-up {stream} is not well: {stream.error or 'no sign of life'}." for stream in _unwell()]
    run = Run.objects.filter(dry_run=False).first()
    if run is not None and Finding.objects.filter(run=run.key, verification=run.verification).exists():
        found.append("The last verification has findings.")
    # By name: the portal and the legacy endpoints do not import each other.
    requests = apps.get_model("legacy_compat", "LegacyRequest").objects.filter(at__gt=timezone.now() - _WINDOW)
    calls, failures = requests.count(), requests.filter(status__gte=500).count()
    if calls < _LEAST:
        found.append(
            f"Only {calls} requests in the last 5 minutes: too few to tell that all is well ({_LEAST} are needed)."
        )
    elif wilson_lower(failures, calls) > _MOST_FAILING:
        found.append(f"{failures} of {calls} requests in the last 5 minutes failed.")
    return found


def wilson_lower(failures: int, calls: int) -> float:
    """The lower end of the Wilson score interval, 99 % (Wilson 1927): the failure rate is at least this."""
    rate = failures / calls
    middle = rate + _Z**2 / (2 * calls)
    return (middle - _Z * sqrt(rate * (1 - rate) / calls + _Z**2 / (4 * calls**2))) / (1 + _Z**2 / calls)


def _unwell() -> list[Stream]:
    return [stream for stream in Stream.objects.all() if stream.error or not stream.alive]
