"""The reconciliation of a run."""

from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World


def test_source_is_copied_plus_quarantined_for_every_table(world: World) -> None:
    world.sample()
    for table in report(builders.migrated(world)).tables.values():
        assert table.source == table.copied + table.quarantined
        assert table.mismatched == 0


def test_a_run_that_is_undone_says_so_and_is_not_called_incomplete(world: World) -> None:
    world.sample()
    run = builders.migrated(world)
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run, also=frozenset({State.UNDONE}))
    page = words(browser("viewer").get(f"/admin/runs/run/{run.pk}/report/"))
    assert "The run was undone" in page and "not completed" not in page
