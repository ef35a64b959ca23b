"""The flags that are there."""

from __future__ import annotations

from flags import change as changing
from flags.decide import Subject
from flags.evaluate import explain
from tests.features.switching import flag
from tests.world import World


def test_the_strategys_flags_are_there_with_what_they_require(world: World) -> None:
    assert flag("social_login_enabled").requires.get() == flag("oauth2_enabled")
    assert flag("oauth2_enabled").requires.get() == flag("database_migration_complete")
    changing.change(flag("oauth2_enabled"), by="t", reason="t", percentage=100)
    decision = explain("oauth2_enabled", Subject("u"), fresh=True)
    assert not decision.on and "database_migration_complete" in decision.why
