"""Claims and leases of chunks."""

import pytest

from migration_portal.engine import ledger
from migration_portal.engine.copy.copying import copy_chunk
from migration_portal.engine.errors import LeaseLost
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.start import start
from tests.engine.copy.planning import builders_until_copy
from tests.world import World


def test_a_worker_that_lost_its_lease_may_not_commit(world: World) -> None:
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
        with pytest.raises(LeaseLost):
            copy_chunk(one, mine)
        copy_chunk(two, theirs)
        assert two.target.execute("SELECT count(*) FROM tenants").fetchone()[0] > 0
