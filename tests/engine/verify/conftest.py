"""Fixtures of this room."""

import pytest

from migration_portal.runs.models import Run
from tests import builders
from tests.world import World


@pytest.fixture
def run(world: World) -> Run:
    world.sample()
    return builders.migrated(world)
