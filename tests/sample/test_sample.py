import io

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from migration_portal.sample.dirt import Dirt
from tests.stack import World


def test_the_same_seed_gives_the_same_rows(world: World) -> None:
    sums = []
    for seed in (7, 7, 8):
        call_command("legacy_sample", users=300, tenants=10, seed=seed, replace=True, stdout=io.StringIO())
        with world.legacy() as legacy:
            sums.append(legacy.execute("SELECT sum(hashtext(u::text)) FROM users u").fetchone()[0])
    assert sums[0] == sums[1] != sums[2]


def test_a_legacy_database_in_use_is_not_overwritten(world: World) -> None:
    call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())
    with pytest.raises(CommandError, match="It already holds licenses, tenant_settings, tenants, users"):
        call_command("legacy_sample", users=100, tenants=10, stdout=io.StringIO())


def test_a_sample_too_small_for_its_dirt_is_refused(world: World) -> None:
    with pytest.raises(CommandError, match="at least 5 tenants"):
        call_command("legacy_sample", users=10, tenants=10, stdout=io.StringIO())


@given(st.integers(100, 10**8), st.integers(5, 50), st.floats(0, 0.02))
def test_dirt_never_exceeds_the_rows(users: int, tenants: int, rate: float) -> None:
    dirt = Dirt(users, tenants, rate)
    for table, reasons in dirt.quarantined().items():
        assert sum(reasons.values()) < dirt.rows()[table]
