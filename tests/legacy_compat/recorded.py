"""What was recorded."""

from __future__ import annotations

from legacy_compat import record
from legacy_compat.models import LegacyRequest


def requests() -> list[LegacyRequest]:
    record.background.join()
    return list(LegacyRequest.objects.order_by("at"))
