from __future__ import annotations

import pytest
from django.test import Client

from tests import builders
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture
def console(world: World) -> Client:
    builders.member("operator", username="otto")
    client = Client()
    client.login(username="otto", password="secret-pass-1")
    return client
