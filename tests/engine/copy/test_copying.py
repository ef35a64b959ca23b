"""Copying a chunk."""

import itertools

from migration_portal.runs.report import report
from migration_portal.runs.start import start
from tests import builders
from tests.engine.copy.planning import builders_until_copy
from tests.world import World


def test_the_run_uses_no_memory_of_how_many_chunks_there_were(world: World) -> None:
    """Neighbouring chunks are merged once the speed is known, and the ranges still meet."""
    world.sample(users=2000, tenants=20)
    run = start(by="tester")
    builders_until_copy(run)
    with world.iam() as iam:
        iam.execute("DELETE FROM portal_ledger.chunks WHERE step = 'copy:users'")
        bounds = [None, ["3"], ["6"], ["9"], ["c"], None]
        for n in range(5):
            iam.execute(
                "INSERT INTO portal_ledger.chunks (run, step, step_order, ordinal, kind, table_name, lower, upper, rows_planned)"
                " VALUES (%s, 'copy:users', 3, %s, 'copy', 'users', %s, %s, 100)",
                [run.key, n, bounds[n], bounds[n + 1]],
            )
    builders.finish(run)
    with world.iam() as iam:
        left = iam.execute(
            "SELECT lower, upper FROM portal_ledger.chunks WHERE step = 'copy:users' ORDER BY ordinal"
        ).fetchall()
    assert len(left) < 5
    assert left[0][0] is None
    assert left[-1][1] is None
    assert all(upper == lower for (_, upper), (lower, _) in itertools.pairwise(left))
    assert report(run).passed
