"""Moving tenants to the IAM and back: what each side holds, and who may write, before and after."""

from __future__ import annotations

import uuid

import pytest

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.cutover import follow_up, guard
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import capture_queue
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World


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
        assert capture_queue.lag(theirs).entries == capture_queue.lag(ours).entries == 0


def test_a_run_and_an_undo_wait_until_every_tenant_is_back(world: World, home: str) -> None:
    moved(home)
    with pytest.raises(Refusal, match="at home in the IAM"):
        start(by="tester")
    with pytest.raises(Refusal, match="at home in the IAM"):
        undo(Run.objects.get(), by="tester", reason="test")


def test_verifying_again_passes_while_tenants_live_on_both_sides(world: World, home: str) -> None:
    builders.user(world, builders.tenant(world))
    both_loops()
    sync_tenants()
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


def test_a_table_emptied_after_its_tenant_left_is_listed_row_by_row(world: World, home: str) -> None:
    moved(home)
    legacy(world, "TRUNCATE users CASCADE")
    both_loops()
    assert iam(world, "SELECT count(*) FROM users") == [(2,)]
    assert Stray.objects.filter(what="deleted", table_name="users").count() == 2


def test_what_follows_a_flip_is_done_later_if_it_failed(world: World, home: str) -> None:
    guard.switch(on=True, by="tester")
    moved(home)
    made = Cutover.objects.get()
    assert made.followed_up_at is not None
    Cutover.objects.update(followed_up_at=None)
    iam(world, "UPDATE portal_capture.homes SET here = false")
    assert follow_up.resume() == 1
    assert iam(world, "UPDATE users SET bio = 'open again'") == 2


def test_a_trigger_of_legacys_does_not_trap_a_tenant_in_the_iam(world: World, home: str) -> None:
    moved(home)
    legacy(
        world,
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.updated_at := '2000-01-01'; RETURN NEW; END $$",
    )
    legacy(world, "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp()")
    iam(world, "UPDATE users SET full_name = 'From the IAM', updated_at = '2026-01-02'")
    both_loops()
    assert legacy(world, "SELECT DISTINCT full_name, updated_at::date::text FROM users") == [
        ("From the IAM", "2026-01-02")
    ]
    assert moved(home, "legacy").error == ""


def test_what_reverse_has_not_brought_back_yet_is_no_finding(world: World, home: str) -> None:
    moved(home)
    iam(world, "UPDATE users SET full_name = 'Not there yet'")
    verify(Run.objects.get(), by="tester")
    run = builders.finish(Run.objects.get())
    assert report(run).passed


def test_new_rows_get_numbers_beyond_those_that_were_copied(world: World, home: str) -> None:
    iam(world, "ALTER TABLE licenses ADD COLUMN number serial")
    iam(world, "INSERT INTO licenses (tenant_id, license_key, number) SELECT id, 'x', 41 FROM tenants")
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        connection.execute("DELETE FROM licenses")
    builders.licence(world, home)
    both_loops()
    iam(world, "UPDATE licenses SET number = 41")
    assert moved(home).error == ""
    assert iam(world, "SELECT nextval(pg_get_serial_sequence('licenses', 'number')) > 41") == [(True,)]


def test_each_move_is_on_the_record_by_its_own_verb(world: World, home: str) -> None:
    moved(home)
    moved(home, "legacy")
    verbs = Event.objects.filter(object_type="tenanthome", object_id=home, verb__in=("cut_over", "reverse"))
    assert list(verbs.order_by("id").values_list("verb", flat=True)) == ["cut_over", "reverse"]
