"""What the benchmarks ask of a run."""

from __future__ import annotations

from bench.ours import built
from migration_portal.runs.start import start
from tests import builders
from tests.world import World


def test_a_run_is_built_once_all_its_constraints_are_in_force(world: World) -> None:
    world.sample()
    run = start(by="tester")
    assert not built(world.url("iam"), run)
    assert built(world.url("iam"), builders.finish(run))
