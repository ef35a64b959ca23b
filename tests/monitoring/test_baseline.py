"""Whether the IAM answers worse than legacy did before the last wave."""

from __future__ import annotations

import pytest
from django.utils import timezone

from legacy_compat.histograms import bucket
from migration_portal.monitoring.baseline import LEAST, worse
from migration_portal.monitoring.models import Baseline, Minute
from tests.world import World


def answered(calls: int, *, milliseconds: float = 40.0, failed: int = 0) -> None:
    Minute.objects.create(
        at=timezone.now().replace(second=0, microsecond=0), home="iam", endpoint="GET auth/me", ok=calls - failed, failed=failed,
        buckets={str(bucket(milliseconds)): calls},
    )  # fmt: skip


@pytest.fixture
def before(world: World) -> Baseline:
    return Baseline.objects.create(wave="pilot", endpoint="", calls=1000, failed=5, p95=50.0)


def test_about_as_good_is_not_worse(before: Baseline) -> None:
    answered(LEAST, milliseconds=200, failed=2)
    assert worse() == ""


def test_slower_by_more_than_200_ms_is(before: Baseline) -> None:
    answered(LEAST, milliseconds=300)
    assert "at the 95th percentile, legacy took 50 before" in worse()


def test_more_failures_are(before: Baseline) -> None:
    answered(LEAST, failed=10)
    assert worse() == "5.0% of the IAM's answers are failures, of legacy's 0.5% were before."


def test_nobody_can_tell_from_a_few_calls_or_without_a_baseline(before: Baseline) -> None:
    answered(LEAST - 1, milliseconds=9000, failed=LEAST - 1)
    assert worse() == ""
    Minute.objects.all().delete()
    Baseline.objects.all().delete()
    answered(LEAST, milliseconds=9000)
    assert worse() == ""
