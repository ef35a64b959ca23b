"""A legacy database that is unwell is left alone."""

import pytest
from django.conf import settings

from migration_portal.runs.advance import advance
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.work import work
from tests import builders
from tests.world import World


def test_dispatch_holds_while_legacy_has_a_long_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sample()
    monkeypatch.setattr(settings, "LEGACY_MAX_TRANSACTION_SECONDS", -1)
    with world.legacy() as other, other.transaction():
        other.execute("SELECT 1")
        run = start(by="tester")
        advance(run)
        run.refresh_from_db()
        assert "A transaction has been open on the legacy database" in run.hold_reason
        assert work(run.pk) == 0
    monkeypatch.setattr(settings, "LEGACY_MAX_TRANSACTION_SECONDS", 900)
    assert builders.finish(run).state == State.COMPLETED
    assert run.hold_reason == ""
