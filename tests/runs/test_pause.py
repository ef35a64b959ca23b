"""Pausing and resuming."""

from migration_portal.runs.pause import pause, resume
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.work import work
from tests import builders
from tests.world import World


def test_pause_keeps_finished_chunks(world: World) -> None:
    world.sample()
    run = start(by="tester")
    pause(run, by="tester")
    assert builders.finish(run).state == State.PAUSED
    assert work(run.pk) == 0
    resume(run, by="tester")
    assert builders.finish(run).state == State.COMPLETED
    assert report(run).passed
