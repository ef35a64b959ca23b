"""The chart of what waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from migration_portal.catchup.chart import growing, lag
from migration_portal.catchup.models import FlowStatus, LagSample
from migration_portal.runs.start import start
from tests.world import World


def test_each_direction_that_has_samples_has_a_line(world: World) -> None:
    assert lag() is None
    world.sample()
    FlowStatus.objects.create(direction="forward", run=start(by="tester"))
    for seconds, entries in ((30, 0), (20, 50), (10, 100)):
        LagSample.objects.create(
            flow_id="forward", at=timezone.now() - timedelta(seconds=seconds), entries=entries, seconds=1, applied=0
        )
    found = lag()
    assert (
        found is not None and [line.label for line in found.chart.lines] == ["legacy → IAM"] and found.chart.most == 100
    )
    assert [value for value in found.chart.lines[0].data if value is not None] == [0, 50, 100]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (list(range(0, 6000, 100)), True),
        (list(range(6000, 0, -100)), False),
        (list(range(0, 2900, 100)), False),  # too few to tell
        (list(range(60)), False),  # a moment's worth
        ([*range(0, 3000, 100), *[2000] * 30], False),
        ([2000] * 40 + [3000] * 20, False),  # one jump
    ],
)
def test_a_backlog_grows_when_every_third_of_the_last_minute_is_higher(entries: list[int], expected: bool) -> None:
    assert growing([(None, count) for count in entries]) is expected
