"""The loop of catch-up, and what it tells the operator."""

from __future__ import annotations

from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from tests import builders
from tests.engine.changes import change
from tests.world import World


def test_the_loop_says_so_when_somebody_removes_the_triggers(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    change(world, "DROP TRIGGER portal_capture ON users")
    follow("forward", seconds=0.2)
    assert "users are no longer recorded" in FlowStatus.objects.get().error
