"""Fixtures of this room."""

from migration_portal.runs.models import Run
from tests import builders
from tests.stack import furnished
from tests.world import World


@furnished
def run(world: World) -> Run:
    world.sample()
    return builders.migrated(world)
