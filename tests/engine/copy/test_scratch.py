"""A dry run leaves nothing."""

from migration_portal.runs.report import report
from migration_portal.runs.states import State
from tests import builders
from tests.world import World


def test_dry_run_leaves_the_target_untouched_and_foretells_the_quarantine(world: World) -> None:
    dirt = world.sample()
    run = builders.migrated(world, dry_run=True)
    assert run.state == State.COMPLETED
    result = report(run)
    assert {name: table.reasons for name, table in result.tables.items()} == dirt.quarantined()
    assert result.passed, result.checks
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert iam.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'portal_dry%'").fetchone() == (0,)
