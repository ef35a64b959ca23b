"""Copying a chunk."""

import itertools

import pytest

from migration_portal.engine import ledger
from migration_portal.engine.copy.copying import copy_chunk
from migration_portal.engine.errors import LeaseLost
from migration_portal.refusal import Refusal
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from tests import builders
from tests.engine.copy.planning import builders_until_copy
from tests.world import World


@pytest.mark.parametrize("failures", [0, 1], ids=["loaded", "through the stage"])
def test_a_worker_that_lost_its_lease_may_not_commit(world: World, failures: int) -> None:
    world.sample()
    run = start(by="tester")
    builders_until_copy(run)
    with open_transfer(run, "one") as one, open_transfer(run, "two") as two:
        mine = ledger.claim(one.target, run.key, "one")
        one.target.execute(
            "UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s' WHERE id = %s", [mine.id]
        )
        theirs = ledger.claim(two.target, run.key, "two")
        assert theirs.id == mine.id
        mine.failures = failures
        with pytest.raises(LeaseLost):
            copy_chunk(one, mine)
        copy_chunk(two, theirs)
        assert two.target.execute("SELECT count(*) FROM tenants").fetchone()[0] > 0


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


def test_a_row_that_the_iam_swallows_fails_its_chunk(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world))
    with world.iam() as iam:
        iam.execute("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
        iam.execute("CREATE TRIGGER swallow BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION swallow()")
    run = start(by="tester")
    builders_until_copy(run)
    with open_transfer(run, "one") as transfer:
        while (chunk := ledger.claim(transfer.target, run.key, "one")).table_name != "users":
            copy_chunk(transfer, chunk)
        with pytest.raises(Refusal, match="Read 1 rows but wrote 0"):
            copy_chunk(transfer, chunk)
