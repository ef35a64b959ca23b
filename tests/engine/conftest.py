"""A tenant in legacy."""

from __future__ import annotations

import pytest

from tests import builders
from tests.world import World


@pytest.fixture
def home(world: World) -> str:
    builders.legacy_tables(world)
    return builders.tenant(world)
