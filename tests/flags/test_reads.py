"""Whose reads the IAM may answer now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from flags import reads
from flags.models import CaughtUp, TenantHome
from tests.world import World


@pytest.fixture
def reading(rolled_back: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tenant that has read first for an hour, and of which catch-up has just spoken."""
    monkeypatch.setattr(reads, "_known", reads._Known())
    now = timezone.now()
    TenantHome.objects.create(tenant="t", legacy_tenant="t", name="t", reads_since=now - timedelta(hours=1))
    CaughtUp.objects.create(at=now, tenants=["t"])
    return "t"


def test_a_tenant_that_reads_first_is_answered_and_nobody_else(reading: str) -> None:
    assert reads.current(reading) and not reads.current("other") and not reads.current("")


@pytest.mark.parametrize("served_by", ["legacy", "iam"])
def test_a_setting_that_says_who_serves_says_it_of_all(reading: str, settings: Any, served_by: str) -> None:
    settings.LEGACY_SERVED_BY = served_by
    assert not reads.current(reading)
