from __future__ import annotations

import pytest

from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back
