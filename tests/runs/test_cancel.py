"""Cancelling a run."""

import pytest

from migration_portal.runs.start import RunOverlaps, start
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.world import World


def test_a_cancelled_run_must_be_undone_before_the_next(world: World) -> None:
    from migration_portal.runs.cancel import cancel

    world.sample()
    run = start(by="tester")
    from migration_portal.engine import ledger
    from migration_portal.engine.kinds import perform
    from migration_portal.runs.advance import advance
    from migration_portal.runs.connections import open_transfer

    advance(run)
    with open_transfer(run, "test") as transfer:
        perform(transfer, ledger.claim(transfer.target, run.key, "test"))
    cancel(run, by="tester", reason="changed our minds")
    assert builders.finish(run).state == State.CANCELLED
    with pytest.raises(RunOverlaps, match="suspended"):
        start(by="tester")
    undo(run, by="tester", reason="clean up")
    assert builders.finish(run).state == State.UNDONE
    assert builders.migrated(world).state == State.COMPLETED
