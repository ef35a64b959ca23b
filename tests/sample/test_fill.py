"""Filling a legacy database."""

import io

import pytest
from django.core.management import call_command

from tests.world import World


@pytest.mark.parametrize("flavour", ["documented", "released"])
def test_the_same_seed_gives_the_same_rows(world: World, flavour: str) -> None:
    sums = []
    for seed in (7, 7, 8):
        call_command(
            "legacy_sample", users=300, tenants=10, seed=seed, flavour=flavour, replace=True, stdout=io.StringIO()
        )
        with world.legacy() as legacy:
            sums.append(legacy.execute("SELECT sum(hashtext(u::text)) FROM users u").fetchone()[0])
    assert sums[0] == sums[1] != sums[2]
