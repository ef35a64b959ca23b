"""Moving tenants to the IAM and back: what each side holds, and who may write, before and after."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from flags.models import TenantHome
from migration_portal.catchup.follow import follow
from migration_portal.cutover import ask, decide, finalize, guard
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.engine import capture
from migration_portal.plan.errors import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from tests import builders
from tests.stack import World


def both_loops() -> None:
    for _ in range(3):
        follow("forward", seconds=0.3)
        follow("reverse", seconds=0.3)


@pytest.fixture
def home(world: World) -> str:
    """A tenant with two users, migrated with capture, on the board."""
    builders.legacy_tables(world)
    made = builders.tenant(world)
    builders.user(world, made, username="ann")
    builders.user(world, made, username="bob")
    builders.migrated(world, capture=True)
    ask.know_tenants()
    both_loops()
    return made


def moved(tenant: str, home: str = "iam") -> Cutover:
    chosen = [TenantHome.objects.get(pk=tenant)]
    asked = ask.cut_over(chosen, by="tester") if home == "iam" else ask.reverse(chosen, by="tester", reason="test")
    ask.work()
    asked[0].refresh_from_db()
    return asked[0]


def legacy(world: World, statement: str, *arguments: Any) -> Any:
    with world.legacy() as connection:
        cursor = connection.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def iam(world: World, statement: str, *arguments: Any) -> Any:
    with world.iam() as connection:
        cursor = connection.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def test_a_tenant_moves_with_the_changes_that_were_still_waiting(world: World, home: str) -> None:
    legacy(world, "UPDATE users SET full_name = 'Last word' WHERE username = 'ann'")
    done = moved(home)
    assert done.error == ""
    assert TenantHome.objects.get(pk=home).home == "iam"
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Last word",)]
    assert done.hold_ms is not None and done.hold_ms < 5000


def test_writes_in_the_iam_flow_back_and_survive_the_way_back(world: World, home: str) -> None:
    moved(home)
    new = str(uuid.uuid4())
    iam(world, "UPDATE users SET full_name = 'From the IAM' WHERE username = 'ann'")
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'bob')")
    iam(world, "DELETE FROM users WHERE username = 'bob'")
    iam(world, "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (%s, %s, 'eve', 'x')", new, home)
    both_loops()
    assert legacy(world, "SELECT username, full_name FROM users ORDER BY 1") == [("ann", "From the IAM"), ("eve", None)]
    assert moved(home, "legacy").state == "done"
    legacy(world, "UPDATE users SET full_name = 'At home again' WHERE username = 'ann'")
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("At home again",)]


def test_nothing_echoes_between_the_two_directions(world: World, home: str) -> None:
    moved(home)
    iam(world, "UPDATE users SET full_name = 'Once' WHERE username = 'ann'")
    both_loops()
    with world.legacy() as theirs, world.iam() as ours:
        assert capture.lag(theirs).entries == capture.lag(ours).entries == 0


def test_the_guard_refuses_writes_on_the_wrong_side(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    legacy(world, "UPDATE users SET bio = 'ok'")
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        iam(world, "UPDATE users SET bio = 'no'")
    moved(home)
    iam(world, "UPDATE users SET bio = 'ok'")
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET bio = 'no'")
    guard.switch(on=False, by="tester")
    assert legacy(world, "UPDATE users SET bio = 'no guard'") == 2


def test_a_writer_that_waits_for_the_hold_is_refused_after_the_flip(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    with world.legacy() as holder:
        capture.hold(holder, home, seconds=2)
        with world.legacy() as writer, pytest.raises(psycopg.errors.LockNotAvailable):
            writer.execute("SET lock_timeout = '200ms'")
            writer.execute("UPDATE users SET bio = 'waits'")
        capture.release(holder, home)
    assert legacy(world, "UPDATE users SET bio = 'goes on'") == 2


def test_an_open_transaction_aborts_the_cut_over_at_its_deadline(world: World, home: str, settings: Any) -> None:
    settings.CUTOVER_HOLD_SECONDS = 0.5
    guard.switch(on=True, by="tester")
    with world.legacy() as writer, writer.transaction():
        writer.execute("UPDATE users SET bio = 'slow'")
        done = moved(home)
    assert done.state == "aborted" and "did not pause" in done.error
    assert TenantHome.objects.get(pk=home).home == "legacy"
    assert legacy(world, "UPDATE users SET bio = 'still here'") == 2
    both_loops()
    assert moved(home).state == "done"


def test_an_open_quarantined_row_blocks_the_tenant_and_nobody_else(world: World) -> None:
    builders.legacy_tables(world)
    clean, dirty = builders.tenant(world), builders.tenant(world)
    builders.user(world, clean)
    builders.user(world, dirty, id="not-a-uuid")
    builders.migrated(world, capture=True)
    ask.know_tenants()
    both_loops()
    assert moved(clean).state == "done"
    refused = moved(dirty)
    assert refused.state == "aborted" and "quarantine" in refused.error


def test_a_row_that_differs_blocks_the_tenant_and_is_named(world: World, home: str) -> None:
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        key = connection.execute("UPDATE users SET full_name = 'tampered' RETURNING id::text").fetchone()
    refused = moved(home)
    assert refused.state == "aborted" and key is not None
    assert "differ" in refused.error and "users" in refused.error


def test_a_plan_whose_way_back_loses_a_column_is_refused(world: World, tmp_path: Any) -> None:
    from tests.engine.test_copying import plan_without

    builders.legacy_tables(world)
    home = builders.tenant(world)
    plan = plan_without(tmp_path, 'last_login = "coalesce')
    builders.migrated(world, capture=True, plan_path=plan)
    ask.know_tenants()
    both_loops()
    refused = moved(home)
    assert refused.state == "aborted" and "users: last_login" in refused.error


def test_without_a_living_loop_nothing_is_cut_over(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.migrated(world, capture=True)
    ask.know_tenants()
    refused = moved(home)
    assert refused.state == "aborted" and "no sign of life" in refused.error


def test_a_stray_write_is_listed_and_not_merged(world: World, home: str) -> None:
    moved(home)
    legacy(world, "UPDATE users SET full_name = 'Stray' WHERE username = 'ann'")
    both_loops()
    stray = Stray.objects.get()
    assert (stray.table_name, stray.direction, stray.what, stray.state) == ("users", "forward", "written", "open")
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("Ann Lee",)]


@pytest.mark.parametrize(("verb", "name"), [("take", "Stray"), ("drop", "Ann Lee")])
def test_a_person_decides_which_side_of_a_stray_write_holds(world: World, home: str, verb: str, name: str) -> None:
    moved(home)
    legacy(world, "UPDATE users SET full_name = 'Stray' WHERE username = 'ann'")
    both_loops()
    {"take": decide.take, "drop": decide.drop}[verb](Stray.objects.get(), by="tester", reason="test")
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [(name,)]
    assert legacy(world, "SELECT full_name FROM users WHERE username = 'ann'") == [(name,)]
    assert not Stray.objects.filter(state="open").exists()


def test_a_stray_deletion_is_put_back_when_dropped(world: World, home: str) -> None:
    moved(home)
    legacy(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    stray = Stray.objects.get()
    assert stray.what == "deleted"
    decide.drop(stray, by="tester", reason="test")
    assert legacy(world, "SELECT count(*) FROM users") == [(2,)]


def test_a_run_and_an_undo_wait_until_every_tenant_is_back(world: World, home: str) -> None:
    from migration_portal.runs.undo import undo

    moved(home)
    with pytest.raises(Refusal, match="at home in the IAM"):
        start(by="tester")
    with pytest.raises(Refusal, match="at home in the IAM"):
        undo(Run.objects.get(), by="tester", reason="test")


def test_the_guards_follow_the_homes_after_a_crash_between_them(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    TenantHome.objects.filter(pk=home).update(home="iam")
    assert guard.agree() == 2
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE users SET bio = 'no'")
    assert iam(world, "UPDATE users SET bio = 'yes'") == 2


def test_finalize_is_refused_with_all_reasons_and_then_leaves_no_trace_in_legacy(world: World, home: str) -> None:
    with pytest.raises(Refusal, match="still at home in legacy"):
        finalize.finalize(by="tester", reason="test")
    moved(home)
    archive = finalize.finalize(by="tester", reason="done")
    assert legacy(world, "SELECT count(*) FROM pg_namespace WHERE nspname = 'portal_capture'") == [(0,)]
    assert iam(world, "SELECT count(*) > 0 FROM " + archive + ".chunks") == [(True,)]
    assert moved_back_is_refused(home)


def moved_back_is_refused(tenant: str) -> bool:
    return moved(tenant, "legacy").state == "aborted"


def test_verifying_again_passes_while_tenants_live_on_both_sides(world: World, home: str) -> None:
    from migration_portal.runs.report import report
    from migration_portal.runs.verify import verify

    builders.user(world, builders.tenant(world))
    both_loops()
    ask.know_tenants()
    moved(home)
    iam(world, "UPDATE users SET failed_login_attempts = 3, bio = 'new' WHERE username = 'ann'")
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (gen_random_uuid(), %s, 'eve', 'x')",
        home,
    )
    iam(
        world,
        "INSERT INTO user_roles (user_id, role_id) SELECT id, '00000000-0000-4000-8000-000000000002'"
        " FROM users WHERE username = 'eve'",
    )
    both_loops()
    run = Run.objects.get()
    verify(run, by="tester")
    builders.finish(run)
    assert [c for c in report(run).checks if c["severity"] == "error"] == []
    assert report(run).passed


def test_a_user_born_in_the_iam_has_its_role_after_the_way_back(world: World, home: str) -> None:
    moved(home)
    iam(
        world,
        "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (gen_random_uuid(), %s, 'eve', 'x')",
        home,
    )
    both_loops()
    moved(home, "legacy")
    both_loops()
    roles = "SELECT count(*) FROM user_roles JOIN users ON users.id = user_id WHERE username = 'eve'"
    assert iam(world, roles) == [(1,)]
