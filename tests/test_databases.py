"""Sessions on the two databases."""

import pytest

from migration_portal.engine.errors import WrongVersion
from migration_portal.runs.start import start
from tests.world import World


def test_a_server_that_is_too_old_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sample()
    monkeypatch.setattr("migration_portal.databases.OLDEST", 990000)
    with pytest.raises(WrongVersion, match="legacy database: It runs PostgreSQL .* 99 or later is needed"):
        start(by="tester")
