"""The reconciliation of a run."""

from migration_portal.runs.report import report
from tests import builders
from tests.world import World


def test_source_is_copied_plus_quarantined_for_every_table(world: World) -> None:
    world.sample()
    for table in report(builders.migrated(world)).tables.values():
        assert table.source == table.copied + table.quarantined
        assert table.mismatched == 0
