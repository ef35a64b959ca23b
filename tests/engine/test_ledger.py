"""Claims and leases of chunks."""

from pathlib import Path

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


def test_a_ledger_that_an_older_version_has_signed_again_is_upgraded_again(world: World) -> None:
    with world.iam() as iam:
        ledger.install(iam)
        iam.execute((Path(ledger.__file__).parent / "sql" / "ledger_1.sql").read_bytes())
        iam.execute("COMMENT ON SCHEMA portal_ledger IS 'a checksum of version 0.1'")
        ledger.install(iam)
        tables = [row[0] for row in iam.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'portal_ledger'")]
    assert "suspended" in tables and "set_aside" not in tables


def test_a_worker_that_lost_its_lease_takes_no_neighbours_away(world: World) -> None:
    world.sample()
    run = start(by="tester")
    builders_until_copy(run)
    with open_transfer(run, "one") as one, open_transfer(run, "two") as two:
        mine = ledger.claim(one.target, run.key, "one")
        one.target.execute(
            "UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s' WHERE id = %s", [mine.id]
        )
        assert ledger.claim(two.target, run.key, "two").id == mine.id
        mine.upper = mine.upper or ["8"]  # the last chunk has no neighbours
        with pytest.raises(LeaseLost):
            ledger.enlarge(one.target, run.key, mine, 60.0)


def test_a_retry_makes_no_old_lease_valid_again(world: World) -> None:
    world.sample()
    run = start(by="tester")
    builders_until_copy(run)
    with open_transfer(run, "one") as one:
        mine = ledger.claim(one.target, run.key, "one")
        for _ in range(ledger.MOST_FAILURES):
            ledger.failed(one.target, mine, "broken", passing=False)
            one.target.execute("UPDATE portal_ledger.chunks SET state = 'claimed' WHERE id = %s", [mine.id])
        one.target.execute("UPDATE portal_ledger.chunks SET state = 'failed' WHERE id = %s", [mine.id])
        assert ledger.retry_failed(one.target, run.key) == 1
        again = ledger.claim(one.target, run.key, "two")
        assert again.id == mine.id and again.attempt > mine.attempt
        with pytest.raises(LeaseLost):
            copy_chunk(one, mine)
