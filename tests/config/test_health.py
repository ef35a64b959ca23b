"""Probes."""

import pytest
from django.test import Client

from tests.world import World


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_answer_without_login(world: World, path: str) -> None:
    assert Client().get(path).json() == {"status": "ok"}
