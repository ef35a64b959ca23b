"""Is it well enough to expose more people to something new? No data means no."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from legacy_compat.models import LegacyRequest
from migration_portal.catchup.models import FlowStatus
from migration_portal.monitoring.windows import wilson_lower
from migration_portal.runs.models import Finding, Run

_WINDOW = timedelta(minutes=5)
_LEAST, _MOST_FAILING = 100, 0.01


def blockers() -> list[str]:
    """Reasons against widening now, in sentences; empty when there are none."""
    reasons = [flow.trouble for flow in FlowStatus.objects.all() if flow.trouble]
    run = Run.objects.in_force()
    if run is not None and Finding.objects.filter(run=run.key, verification=run.verification).exists():
        reasons.append("The last verification has findings.")
    requests = LegacyRequest.objects.filter(at__gt=timezone.now() - _WINDOW)
    calls, failures = requests.count(), requests.filter(status__gte=500).count()
    if calls < _LEAST:
        reasons.append(f"Too few requests in the last 5 minutes to judge health: {calls} ({_LEAST} are needed).")
    elif wilson_lower(failures, calls) > _MOST_FAILING:
        reasons.append(f"{failures} of {calls} requests in the last 5 minutes failed.")
    return reasons
