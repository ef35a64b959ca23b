"""Claims and leases of chunks."""

import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migration_portal.engine import ledger
from migration_portal.engine.copy.copying import copy_chunk
from migration_portal.engine.errors import LeaseLost
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.start import start
from tests.engine.copy.planning import builders_until_copy
from tests.world import World

STEP = "copy:users"


def chunks(iam: psycopg.Connection[Any], *bounds: str) -> uuid.UUID:
    """A run with chunks between these bounds, which are open at both ends."""
    ledger.install(iam)
    run, edges = uuid.uuid4(), [None, *((bound,) for bound in bounds), None]
    ranges = [ledger.NewChunk("copy", "users", edges[n], edges[n + 1], rows_planned=100) for n in range(len(edges) - 1)]
    ledger.add(iam, run, STEP, 1, ranges)
    return run


def over(iam: psycopg.Connection[Any], chunk: ledger.Chunk) -> None:
    """Let the chunk's lease end."""
    iam.execute("UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s' WHERE id = %s", [chunk.id])


def as_fast_as(iam: psycopg.Connection[Any], chunk: ledger.Chunk, rows: int) -> None:
    """Let the step have done so many rows in a second."""
    iam.execute(
        "UPDATE portal_ledger.chunks SET state = 'done', rows_read = %s, finished_at = started_at + interval '1 s'"
        " WHERE id = %s", [rows, chunk.id],
    )  # fmt: skip


def state(iam: psycopg.Connection[Any], chunk: ledger.Chunk) -> tuple[Any, ...]:
    about = "SELECT state, failures, error FROM portal_ledger.chunks WHERE id = %s"
    row = iam.execute(about, [chunk.id]).fetchone()
    assert row is not None
    return row


def test_who_is_inside_a_chunk_keeps_it_when_its_lease_is_over(world: World) -> None:
    with world.iam() as one, world.iam() as two:
        run = chunks(one, "8")
        mine = ledger.claim(one, run, "one")
        over(one, mine)
        two.execute("SET lock_timeout = '2s'")  # nobody waits here
        with one.transaction():
            ledger.fence(one, mine)
            assert ledger.claim(two, run, "two").id != mine.id
            assert ledger.release(two, run) == 1
            ledger.give_up(two, run)
            assert state(two, mine)[0] == "claimed"
            ledger.done(one, mine, ledger.Outcome(read=1))
        assert state(two, mine)[0] == "done"


def test_a_claim_counts_and_an_earlier_one_is_fenced_off(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam)
        mine = ledger.claim(iam, run, "one")
        assert ledger.claim(iam, run, "two") is None
        over(iam, mine)
        assert ledger.claim(iam, run, "two").attempt == mine.attempt + 1
        with pytest.raises(LeaseLost), iam.transaction():
            ledger.fence(iam, mine)


def test_a_late_failure_frees_no_chunk_of_another_worker(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam)
        mine = ledger.claim(iam, run, "one")
        over(iam, mine)
        theirs = ledger.claim(iam, run, "two")
        ledger.failed(iam, mine, "late")
        assert state(iam, theirs) == ("claimed", 0, "")
        ledger.done(iam, theirs, ledger.Outcome())
        ledger.failed(iam, theirs, "later")
        assert state(iam, theirs) == ("done", 0, "")


def test_a_chunk_waits_for_somebody_after_its_last_failure(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam)
        for n in range(ledger.MOST_FAILURES):
            iam.execute("UPDATE portal_ledger.chunks SET not_before = '-infinity'")
            chunk = ledger.claim(iam, run, "one")
            ledger.failed(iam, chunk, "broken")
            assert state(iam, chunk)[1] == n + 1
        assert state(iam, chunk)[0] == "failed"
        assert ledger.claim(iam, run, "one") is None


def test_a_passing_failure_never_counts(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam)
        for _ in range(ledger.MOST_FAILURES + 1):
            iam.execute("UPDATE portal_ledger.chunks SET not_before = '-infinity'")
            ledger.failed(iam, ledger.claim(iam, run, "one"), "away", passing=True)
        assert ledger.counts(iam, run)[STEP].waiting == 1


def test_neighbours_are_merged_up_to_a_gap(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam, "2", "4", "6", "8")
        as_fast_as(iam, ledger.claim(iam, run, "one"), 1000)
        iam.execute("DELETE FROM portal_ledger.chunks WHERE lower = '{6}'")
        mine = ledger.enlarge(iam, run, ledger.claim(iam, run, "one"), 60.0)
        assert (mine.lower, mine.upper, mine.rows_planned) == (["2"], ["6"], 200)


def test_neighbours_are_merged_for_the_time_they_take(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam, "2", "4", "6", "8")
        as_fast_as(iam, ledger.claim(iam, run, "one"), 100)
        mine = ledger.enlarge(iam, run, ledger.claim(iam, run, "one"), 3.0)
        assert (mine.lower, mine.upper, mine.rows_planned) == (["2"], ["8"], 300)
        assert ledger.claim(iam, run, "two").lower == ["8"]


def test_a_chunk_that_was_tried_before_is_left_to_its_own_attempts(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam, "2", "4", "6")
        as_fast_as(iam, ledger.claim(iam, run, "one"), 1000)
        iam.execute("UPDATE portal_ledger.chunks SET attempt = 1 WHERE lower = '{4}'")
        assert ledger.enlarge(iam, run, ledger.claim(iam, run, "one"), 60.0).upper == ["4"]


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
        over(one.target, mine)
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
            ledger.failed(one.target, mine, "broken")
            one.target.execute("UPDATE portal_ledger.chunks SET state = 'claimed' WHERE id = %s", [mine.id])
        one.target.execute("UPDATE portal_ledger.chunks SET state = 'failed' WHERE id = %s", [mine.id])
        assert ledger.retry_failed(one.target, run.key) == 1
        again = ledger.claim(one.target, run.key, "two")
        assert again.id == mine.id and again.attempt > mine.attempt
        with pytest.raises(LeaseLost):
            copy_chunk(one, mine)


def test_a_chunk_is_not_enlarged_before_any_speed_is_known(world: World) -> None:
    with world.iam() as iam:
        run = chunks(iam, "2", "4")
        mine = ledger.enlarge(iam, run, ledger.claim(iam, run, "one"), 60.0)
        assert (mine.upper, mine.rows_planned) == (["2"], 100)
