"""Changes in legacy after the copy: captured, looked up again, applied; nothing lost, nothing invented."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import Stream
from migration_portal.engine import capture, catchup, rechecking
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.opening import sides_of
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.stack import World


def caught_up(run: Run) -> catchup.Batch:
    with sides_of(run, "test") as sides:
        return catchup.drain(catchup.Flow("forward", sides, sides.queue, sides.iam))


def same(run: Run) -> bool:
    """Both sides are the same by the run's own verification."""
    verify(run, by="tester")
    builders.finish(run)
    found = report(run)
    return found.passed and found.accounted


def change(world: World, statement: str, *arguments: Any) -> None:
    with world.legacy() as legacy:
        legacy.execute(statement, arguments)


def iam(world: World, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with world.iam() as connection:
        return connection.execute(statement, arguments).fetchall()


@pytest.fixture
def home(world: World) -> str:
    builders.legacy_tables(world)
    return builders.tenant(world)


def test_insert_update_and_delete_arrive(world: World, home: str) -> None:
    stays, goes = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    comes = builders.user(world, home)
    change(world, "UPDATE users SET full_name = 'Changed' WHERE id = %s", stays)
    change(world, "DELETE FROM users WHERE id = %s", goes)
    done = caught_up(run)
    assert done.entries == 3
    names = dict(iam(world, "SELECT id::text, full_name FROM users"))
    assert names == {stays: "Changed", comes: "Ann Lee"}
    assert same(run)


def test_a_changed_role_replaces_the_one_before(world: World, home: str) -> None:
    admin = builders.user(world, home, is_superuser=True)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET is_superuser = false WHERE id = %s", admin)
    caught_up(run)
    found = iam(world, "SELECT r.name FROM user_roles u JOIN roles r ON r.id = u.role_id WHERE user_id = %s", admin)
    assert found == [("user",)]
    assert same(run)


def test_two_users_swap_their_emails_in_one_batch(world: World, home: str) -> None:
    one = builders.user(world, home, email="one@example.org")
    two = builders.user(world, home, email="two@example.org")
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy, legacy.transaction():
        legacy.execute("UPDATE users SET email = 'x' WHERE id = %s", [one])
        legacy.execute("UPDATE users SET email = 'one@example.org' WHERE id = %s", [two])
        legacy.execute("UPDATE users SET email = 'two@example.org' WHERE id = %s", [one])
    assert caught_up(run).collided == 0
    assert dict(iam(world, "SELECT id::text, email FROM users")) == {one: "two@example.org", two: "one@example.org"}


def test_a_swap_split_between_batches_takes_the_other_row_along(world: World, home: str) -> None:
    one = builders.user(world, home, email="one@example.org")
    two = builders.user(world, home, email="two@example.org")
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET email = 'x' WHERE id = %s", one)
    change(world, "UPDATE users SET email = 'one@example.org' WHERE id = %s", two)
    change(world, "UPDATE users SET email = 'two@example.org' WHERE id = %s", one)
    with sides_of(run, "test") as sides:
        flow = catchup.Flow("forward", sides, sides.queue, sides.iam)
        while (done := catchup.batch(flow, most=1)).entries:
            assert done.collided == 0
    assert dict(iam(world, "SELECT id::text, email FROM users")) == {one: "two@example.org", two: "one@example.org"}


def test_the_email_of_a_user_whose_removal_still_waits_goes_to_its_new_owner_at_once(world: World, home: str) -> None:
    gone = builders.user(world, home, email="one@example.org")
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET email = 'x' WHERE id = %s", gone)
    change(world, "DELETE FROM portal_capture.queue")
    heir = builders.user(world, home, email="one@example.org")
    change(world, "DELETE FROM users WHERE id = %s", gone)
    with sides_of(run, "test") as sides:
        flow = catchup.Flow("forward", sides, sides.queue, sides.iam)
        assert catchup.batch(flow, most=1).collided == 0
        catchup.drain(flow)
    assert iam(world, "SELECT id::text FROM users") == [(heir,)]


def test_a_changed_key_leaves_no_row_behind(world: World, home: str) -> None:
    before, after = builders.licence(world, home), str(uuid.uuid4())
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE licenses SET id = %s WHERE id = %s", after, before)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM licenses") == [(after,)]


def test_a_new_tenant_and_its_users_arrive_in_any_order(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    other = str(uuid.uuid4())
    user = builders.user(world, other)
    with sides_of(run, "test") as sides:
        flow = catchup.Flow("forward", sides, sides.queue, sides.iam)
        assert catchup.batch(flow, most=100).collided == 1
        builders.tenant(world, id=other)
        change(world, "UPDATE portal_capture.queue SET not_before = NULL, attempts = 0")
        catchup.drain(flow)
    assert iam(world, "SELECT id::text FROM users") == [(user,)]
    assert same(run)


def test_what_never_settles_is_quarantined_and_comes_back_by_itself(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    missing = str(uuid.uuid4())
    user = builders.user(world, missing)
    with sides_of(run, "test") as sides:
        flow = catchup.Flow("forward", sides, sides.queue, sides.iam)
        for _ in range(catchup.MOST_ATTEMPTS):
            catchup.batch(flow, most=100)
            change(world, "UPDATE portal_capture.queue SET not_before = now()")
        assert QuarantinedRow.objects.get(table_name="users").reason == "missing_tenants"
        assert capture.lag(sides.queue).entries == 0
        builders.tenant(world, id=missing)
        while catchup.drain(flow).entries:
            pass
    assert iam(world, "SELECT id::text FROM users") == [(user,)]
    assert QuarantinedRow.objects.get(table_name="users").state == "copied"


def test_a_row_that_becomes_unmappable_is_set_aside_and_returns_when_mended(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "SET session_replication_role = replica; UPDATE users SET tenant_id = 'nobody'")
    caught_up(run)
    assert iam(world, "SELECT count(*) FROM users") == [(0,)]
    assert QuarantinedRow.objects.get(table_name="users").reason == "tenant_id_not_uuid"
    change(world, "UPDATE users SET tenant_id = %s", home)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM users") == [(user,)]
    assert same(run)


def test_truncate_empties_the_iam_too(world: World, home: str) -> None:
    builders.licence(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "TRUNCATE licenses")
    left = builders.licence(world, home)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM licenses") == [(left,)]


def test_a_rolled_back_write_leaves_nothing(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy, pytest.raises(ZeroDivisionError), legacy.transaction():
        legacy.execute("UPDATE tenants SET name = 'never'")
        raise ZeroDivisionError
    assert caught_up(run).entries == 0


def test_a_write_during_the_copy_is_applied_before_constraints_return(world: World, home: str) -> None:
    user = builders.user(world, home, full_name="Early")
    from migration_portal.runs.advance import advance
    from migration_portal.runs.start import start

    run = start(by="tester", capture=True)
    with sides_of(run, "test") as sides:
        capture.install(sides.queue, sides.plan, sides.source)
    change(world, "UPDATE users SET full_name = 'Late' WHERE id = %s", user)
    advance(run)
    builders.finish(run)
    assert iam(world, "SELECT full_name FROM users") == [("Late",)]
    assert report(run).passed


def test_capture_goes_without_a_trace(world: World, home: str) -> None:
    before = iam_free_dump(world)
    run = builders.migrated(world, capture=True)
    with sides_of(run, "test") as sides:
        assert capture.unwatched(sides.queue, sides.plan) == []
        capture.remove(sides.queue, sides.plan)
        assert capture.unwatched(sides.queue, sides.plan) == list(sides.plan.sources)
    assert iam_free_dump(world) == before


def iam_free_dump(world: World) -> list[tuple[Any, ...]]:
    with world.legacy() as legacy:
        return legacy.execute(
            "SELECT 'class', relname, relnamespace::regnamespace::text FROM pg_class"
            " WHERE relnamespace::regnamespace::text !~ '^pg_'"
            " UNION SELECT 'trigger', tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
            " UNION SELECT 'function', proname, pronamespace::regnamespace::text FROM pg_proc"
            " UNION SELECT 'schema', nspname, '' FROM pg_namespace ORDER BY 1, 2, 3"
        ).fetchall()


def test_compaction_keeps_one_entry_a_key(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    for n in range(50):
        change(world, "UPDATE users SET full_name = %s WHERE id = %s", f"Name {n}", user)
    with sides_of(run, "test") as sides:
        assert capture.compact(sides.queue) == 49
    caught_up(run)
    assert iam(world, "SELECT full_name FROM users") == [("Name 49",)]


def test_what_was_applied_is_compared_again_and_a_difference_is_a_finding(world: World, home: str) -> None:
    good, bad = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New'")
    caught_up(run)
    with world.iam() as connection:
        connection.execute("UPDATE users SET full_name = 'Corrupted' WHERE id = %s", [bad])
    with sides_of(run, "test") as sides:
        assert rechecking.touched(sides) == 2
        assert rechecking.recheck(sides, run.verification) == (2, 1)
        assert rechecking.touched(sides) == 0
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
    with sides_of(run, "test") as sides:
        assert rechecking.recheck(sides, run.verification) == (0, 0)
        assert rechecking.touched(sides) == 1


def test_the_loop_says_so_when_somebody_removes_the_triggers(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    change(world, "DROP TRIGGER portal_capture ON users")
    follow("forward", seconds=0.2)
    assert "users are not recorded any more" in Stream.objects.get().error
