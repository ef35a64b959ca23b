"""How much dirt a sample holds."""

import io

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from migration_portal.sample.dirt import FLAVOURS
from tests.world import World


def test_a_sample_too_small_for_its_dirt_is_refused(world: World) -> None:
    with pytest.raises(CommandError, match="at least 5 tenants"):
        call_command("legacy_sample", users=10, tenants=10, stdout=io.StringIO())


@given(st.sampled_from(sorted(FLAVOURS)), st.integers(100, 10**8), st.integers(5, 50), st.floats(0, 0.02))
def test_dirt_never_exceeds_the_rows(flavour: str, users: int, tenants: int, rate: float) -> None:
    dirt = FLAVOURS[flavour](users, tenants, rate)
    for table, reasons in dirt.quarantined().items():
        assert sum(reasons.values()) < dirt.rows()[table]
