"""Capture goes with the run that needed it."""

from __future__ import annotations

import pytest

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import capture
from migration_portal.refusal import Refusal
from migration_portal.runs.cancel import cancel
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.uncapture import uncapture
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from migration_portal.runs.work import work
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.world import World


def captures(world: World) -> bool:
    with world.legacy() as legacy:
        triggers = legacy.execute("SELECT count(*) FROM pg_trigger WHERE tgname ^@ 'portal_'").fetchone()
        return capture.installed(legacy) or triggers != (0,)


@pytest.mark.parametrize("ending", ["cancel", "undo"])
def test_a_run_that_is_over_records_nothing_any_more(world: World, ending: str) -> None:
    builders.legacy_tables(world)
    builders.tenant(world)
    if ending == "cancel":
        run = start(by="tester", capture=True)
        work(run.pk)
        verify(builders.finish(run), by="tester")
        assert captures(world)
        cancel(run, by="tester", reason="enough")
    else:
        run = builders.migrated(world, capture=True)
        undo(run, by="tester", reason="enough")
    assert builders.finish(run).state in (State.CANCELLED, State.UNDONE)
    assert not captures(world) and not run.capture


def test_capture_stays_while_a_tenant_lives_in_the_iam(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    run = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(home).state == "done"
    with pytest.raises(Refusal, match="at home in the IAM"):
        uncapture(run, by="tester", reason="enough")
    verify(run, by="tester")
    with pytest.raises(Refusal, match="at home in the IAM"):
        cancel(run, by="tester", reason="enough")
    builders.finish(run)
    assert moved(home, "legacy").state == "done"
    uncapture(run, by="tester", reason="enough")
    assert not captures(world)


def test_capture_stays_for_another_run_that_needs_it(world: World) -> None:
    builders.legacy_tables(world)
    builders.tenant(world)
    first, second = (builders.migrated(world, capture=True) for _ in range(2))
    uncapture(first, by="tester", reason="the second goes on")
    assert captures(world)
    uncapture(second, by="tester", reason="enough")
    assert not captures(world)
