"""Latencies in buckets: a stated error, and sums that add up whoever counted."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from legacy_compat import histograms
from legacy_compat.histograms import Call
from migration_portal.monitoring import roll_up
from migration_portal.monitoring.models import Minute
from migration_portal.monitoring.windows import window
from tests.world import World

latencies = st.lists(st.floats(0.01, 60_000), min_size=1, max_size=300)


@given(latencies, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_at_most_two_per_cent_off(values: list[float], share: float) -> None:
    found = histograms.quantile(Counter(map(histograms.bucket, values)), share)
    ordered = sorted(values)
    exact = next(value for n, value in enumerate(ordered, 1) if n >= share * len(ordered))
    assert found is not None and abs(found - exact) <= exact * (histograms.ERROR + 1e-9)


@given(latencies, latencies)
def test_buckets_of_two_processes_add_up(one: list[float], other: list[float]) -> None:
    added = Counter(map(histograms.bucket, one)) + Counter(map(histograms.bucket, other))
    assert added == Counter(map(histograms.bucket, one + other))


def test_no_calls_have_no_quantile() -> None:
    assert histograms.quantile({}, 0.95) is None


def test_what_is_counted_is_rolled_up_once_however_often(world: World) -> None:
    number = histograms.this_minute()
    statuses = {200: "ok", 302: "ok", 401: "rejected", 500: "failed", 502: "failed", 504: "timed_out"}
    for status in statuses:
        histograms.note(Call(number * 60, "iam", "GET auth/me", status, 12.0))
    histograms.background.join()
    for _ in range(3):
        roll_up.roll_up()
    row = Minute.objects.get()
    assert (row.home, row.endpoint) == ("iam", "GET auth/me")
    assert (row.ok, row.rejected, row.failed, row.timed_out) == (2, 1, 2, 1)
    found = window(since=row.at)
    assert (found.calls, found.failures, found.average) == (6, 3, 12.0)
    assert found.p95 is not None and abs(found.p95 - 12) < 0.25


def test_minutes_that_the_portal_missed_are_still_there(world: World) -> None:
    number = histograms.this_minute() - 100
    histograms.note(Call(number * 60, "legacy", "GET users", 200, 5.0))
    histograms.background.join()
    assert roll_up.roll_up() == 0
    assert roll_up.catch_up() == 1
