"""What catch-up wrote is compared once more."""

from __future__ import annotations

from migration_portal.catchup.follow import follow
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.verify import continuous
from migration_portal.engine.verify import tables as verify_tables
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, Run
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.engine.changes import caught_up, change, iam
from tests.world import World


def test_what_was_applied_is_compared_again_and_a_difference_is_a_finding(world: World, home: str) -> None:
    good, bad = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    with world.iam() as connection:
        connection.execute("UPDATE users SET full_name = 'Corrupted' WHERE id = %s", [bad])
    with open_transfer(run, "test") as transfer:
        assert continuous.touched(transfer) == 2
        assert continuous.recheck(transfer, run.verification, {}) == (2, 1)
        assert continuous.touched(transfer) == 0
    finding = Finding.objects.get()
    assert (finding.key, finding.field, finding.legacy_value, finding.iam_value) == (
        [bad],
        "full_name",
        "New",
        "Corrupted",
    )
    assert good != bad


def test_a_row_whose_change_still_waits_is_no_finding(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'Once'")
    caught_up(run)
    change(world, "UPDATE users SET full_name = 'Twice' WHERE id = %s", user)
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (0, 0)
        assert continuous.touched(transfer) == 1


def test_a_difference_beside_a_row_that_waits_is_a_finding_and_only_the_row_that_waits_is_asked_again(
    world: World, home: str
) -> None:
    bad, stuck = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    change(world, "UPDATE users SET full_name = 'Newer' WHERE id = %s", stuck)
    change(world, "UPDATE portal_capture.queue SET attempts = 3")
    iam(world, "UPDATE users SET full_name = 'Corrupted' WHERE id = %s", bad)
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (1, 1)
        assert continuous.touched(transfer) == 1
    assert [finding.key for finding in Finding.objects.all()] == [[bad]]


def gone(world: World, home: str) -> Run:
    """A run whose tenant lives in the IAM, with what legacy changed last not compared again yet."""
    run = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    change(world, "UPDATE users SET full_name = 'New'")
    assert moved(home).error == ""
    return run


def test_what_was_written_in_the_iam_and_has_not_come_back_yet_is_no_finding(world: World, home: str) -> None:
    away, bad = builders.user(world, home), builders.user(world, home)
    run = gone(world, home)
    iam(world, "UPDATE users SET full_name = 'Newer' WHERE id = %s", away)
    with open_transfer(run, "test") as transfer:
        transfer.target.execute("UPDATE users SET full_name = 'Corrupted' WHERE id = %s", [bad])
        assert continuous.recheck(transfer, run.verification, {}) == (1, 1)
        assert continuous.touched(transfer) == 1
    assert [finding.key for finding in Finding.objects.all()] == [[bad]]
    follow("reverse", seconds=0.01)
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (1, 0)


def test_while_a_whole_table_waits_nothing_of_it_is_a_finding(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    change(world, "INSERT INTO portal_capture.queue (table_name, attempts) VALUES ('users', 3)")
    iam(world, "UPDATE users SET full_name = 'Another' WHERE id = %s", user)
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (0, 0)


def test_while_a_whole_table_of_the_iam_flows_back_nothing_of_it_is_a_finding(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = gone(world, home)
    iam(world, "UPDATE users SET full_name = 'Newer' WHERE id = %s", user)
    iam(world, "UPDATE portal_capture.queue SET key = NULL, attempts = 3")
    with open_transfer(run, "test") as transfer:
        assert continuous.recheck(transfer, run.verification, {}) == (0, 0)
        found = verify_tables.look_again(transfer, transfer.table("users"), [(user,)], set())
    assert found == []
