"""Switching features from the console, on the record."""

from __future__ import annotations

import pytest

from migration_portal.features import switch
from migration_portal.refusal import Refusal
from tests import builders
from tests.features.switching import flag
from tests.world import World


def test_the_migration_being_complete_is_derived_and_cannot_be_switched(world: World) -> None:
    assert switch.derive() is False
    with pytest.raises(Refusal, match="is derived"):
        switch.switch(flag("database_migration_complete"), by="t", reason="t", percentage=100)
    world.sample(users=80, tenants=8)
    builders.migrated(world)
    assert switch.derive() is True
    assert flag("database_migration_complete").changes.get().by == "system"
