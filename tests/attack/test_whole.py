"""Whole-table entries."""

import uuid

import pytest

from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.engine.changes import caught_up

BRAKE = "UPDATE portal_capture.brake SET upto = 0"


def test_a_stray_write_past_the_cap_is_listed(world, home):
    moved(home)
    legacy(world, BRAKE)
    legacy(world, "UPDATE users SET bio = 'stray' WHERE username = 'ann'")
    assert legacy(world, "SELECT key FROM portal_capture.queue") == [(None,)]
    both_loops()
    assert legacy(world, "SELECT count(*) FROM portal_capture.queue") == [(0,)]
    assert Stray.objects.filter(what="written", table_name="users").count() == 1


def test_a_stray_insert_past_the_cap_is_listed(world, home):
    moved(home)
    legacy(world, BRAKE)
    builders.user(world, home, username="newcomer")
    both_loops()
    assert legacy(world, "SELECT count(*) FROM portal_capture.queue") == [(0,)]
    assert Stray.objects.filter(what="written", table_name="users").count() == 1


@pytest.mark.parametrize("how", ["brake", "truncate"])
def test_rows_the_iam_had_before_survive_a_whole_table_entry(world, how):
    builders.legacy_tables(world)
    made = builders.tenant(world)
    builders.user(world, made, username="ann")
    own, who = str(uuid.uuid4()), str(uuid.uuid4())
    iam(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, 'IAM''s own', 'own')", own)
    iam(world, "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (%s, %s, 'root', 'x')", who, own)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed"
    if how == "brake":
        legacy(world, BRAKE)
        legacy(world, "UPDATE users SET full_name = 'x'")
    else:
        legacy(world, "TRUNCATE users")
    caught_up(run)
    assert iam(world, "SELECT username FROM users WHERE tenant_id = %s", own) == [("root",)]


def test_a_whole_table_entry_with_a_referenced_row_does_not_stop_the_others(world, home):
    bob = legacy(world, "SELECT id FROM users WHERE username = 'bob'")[0][0]
    cols = "user_id, session_id"
    iam(world, f"INSERT INTO user_sessions ({cols}, expires_at) VALUES (%s, 's1', now())", bob)
    legacy(world, BRAKE)
    legacy(world, "DELETE FROM users WHERE username = 'bob'")
    legacy(world, "UPDATE users SET full_name = 'New' WHERE username = 'ann'")
    for _ in range(4):
        both_loops()
    print(legacy(world, "SELECT table_name, key, attempts, error FROM portal_capture.queue"))
    print(FlowStatus.objects.get(pk="forward").trouble)
    assert iam(world, "SELECT full_name FROM users WHERE username = 'ann'") == [("New",)]


def test_a_whole_table_entry_in_reverse_keeps_ids_as_legacy_wrote_them(world):
    builders.legacy_tables(world)
    home = builders.tenant(world)
    upper = builders.user(world, home, id=str(uuid.uuid4()).upper(), username="ann")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    iam(world, BRAKE)
    iam(world, "UPDATE users SET full_name = 'IAM'")
    assert iam(world, "SELECT key FROM portal_capture.queue") == [(None,)]
    both_loops()
    assert legacy(world, "SELECT id, full_name FROM users") == [(upper, "IAM")]


def test_a_whole_table_entry_in_reverse_keeps_what_legacy_alone_has_of_a_user(world):
    builders.legacy_tables(world)
    home = builders.tenant(world)
    upper = builders.user(world, home, id=str(uuid.uuid4()).upper(), username="ann")
    legacy(world, "CREATE TABLE notes (user_id varchar(36) REFERENCES users (id) ON DELETE CASCADE)")
    legacy(world, "INSERT INTO notes VALUES (%s)", upper)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(home).error == ""
    iam(world, BRAKE)
    iam(world, "UPDATE users SET full_name = 'IAM'")
    both_loops()
    assert legacy(world, "SELECT user_id FROM notes") == [(upper,)]


def test_a_tenant_in_upper_case_loses_in_legacy_what_the_iam_deletes(world):
    builders.legacy_tables(world)
    home = builders.tenant(world, id=str(uuid.uuid4()).upper())
    builders.user(world, home, id=str(uuid.uuid4()).upper(), username="ann")
    builders.user(world, home, username="bob")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(home.lower()).error == ""
    iam(world, "DELETE FROM user_roles")
    iam(world, "DELETE FROM users WHERE username IN ('ann', 'bob')")
    both_loops()
    print(Stray.objects.values_list("direction", "what", "key"))
    assert legacy(world, "SELECT username FROM users") == []
    assert Stray.objects.count() == 0


def test_default_privileges_without_execute_do_not_fail_legacys_write_past_the_cap(world):
    builders.legacy_tables(world)
    made = builders.tenant(world)
    builders.user(world, made)
    legacy(world, "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    builders.migrated(world, capture=True)
    role = f"app_{uuid.uuid4().hex[:8]}"
    legacy(world, f"CREATE ROLE {role}")
    legacy(world, f"GRANT SELECT, UPDATE ON users TO {role}")
    legacy(world, BRAKE)
    try:
        with world.legacy() as writer:
            writer.execute(f"SET ROLE {role}")
            writer.execute("UPDATE users SET bio = 'x'")
    finally:
        legacy(world, f"DROP OWNED BY {role}")
        legacy(world, f"DROP ROLE {role}")


def test_what_the_iam_empties_of_a_tenant_that_never_left_legacy_is_listed(world):
    builders.legacy_tables(world)
    moves, stays = builders.tenant(world), builders.tenant(world)
    kept = builders.licence(world, stays)
    builders.licence(world, stays, id="no uuid, never in the IAM")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(moves).error == ""
    iam(world, "TRUNCATE licenses")
    both_loops()
    stray = Stray.objects.get()
    assert (stray.key, stray.what, stray.direction, stray.tenant) == ([kept], "deleted", "reverse", stays)
    resolve.restore(stray, by="tester", reason="test")
    assert iam(world, "SELECT id::text FROM licenses") == [(kept,)]
