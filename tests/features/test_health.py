"""Health: no data means no."""

from __future__ import annotations

from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from legacy_compat.models import LegacyRequest
from migration_portal.features.health import blockers, wilson_lower
from tests.world import World


def called(times: int, status: int) -> None:
    made = {"method": "GET", "endpoint": "auth/me", "version": "v1.0", "client": "x", "home": "iam", "milliseconds": 1}
    LegacyRequest.objects.bulk_create(LegacyRequest(at=timezone.now(), status=status, **made) for _ in range(times))


def test_no_data_is_no_yes(world: World) -> None:
    assert "Too few" in blockers()[0]
    called(200, 200)
    assert blockers() == []
    called(30, 502)
    assert blockers() == ["30 of 230 requests in the last 5 minutes failed."]


@given(calls=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_lower_bound_is_one(calls: int, share: float) -> None:
    failures = int(calls * share)
    assert -1e-9 <= wilson_lower(failures, calls) <= failures / calls + 1e-9
