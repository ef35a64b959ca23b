"""Examples the whole way: live writes to every table, cut-over, writes in the IAM, back, undo; compared in the test's own SQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from iam import passwords
from migration_portal.catchup.revise import revise
from migration_portal.cutover import guard
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import retry_rows
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from migration_portal.sample import examples
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import EXAMPLES, of_keycloak
from tests.world import World

DJANGO = "5f0c0000-0000-4000-8000-000000000004"


def begun(world: World, settings: Any, name: str) -> Run:
    """The example's rows in both systems, after a dry run, with a guard; everybody's password is the one they had."""
    settings.MIGRATION_PLAN = EXAMPLES / name / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / name)
    assert report(builders.migrated(world, dry_run=True)).passed
    run = builders.migrated(world, capture=True)
    assert report(run).passed and report(run).accounted
    stored = {row[0] for row in iam(world, "SELECT hashed_password FROM users")}
    assert all(passwords.verify("sample-password-0", each) for each in stored)
    sync_tenants()
    both_loops()
    guard.switch(on=True, by="tester")
    return run


def of_django(world: World) -> set[Any]:
    there = legacy(
        world, "SELECT username, email, btrim(first_name || ' ' || last_name), is_active, is_superuser, last_login,"
        " date_joined, (SELECT string_agg(g.name, ',' ORDER BY g.name) FROM auth_user_groups m"
        " JOIN auth_group g ON g.id = m.group_id WHERE m.user_id = u.id) FROM auth_user u",
    )  # fmt: skip
    here = iam(
        world, "SELECT username, email, full_name, is_active, is_superuser, last_login, created_at,"
        " (SELECT string_agg(r.name, ',' ORDER BY r.name) FROM user_roles m JOIN roles r ON r.id = m.role_id"
        " WHERE m.user_id = u.id) FROM users u",
    )  # fmt: skip
    return set(there) ^ set(here)


def test_djangos_users_and_groups(world: World, settings: Any) -> None:
    run = begun(world, settings, "04_django")
    assert of_django(world) == set()
    legacy(world, "UPDATE auth_group SET name = 'writers' WHERE name = 'editors'")
    legacy(world, "INSERT INTO auth_group (name) VALUES ('late')")
    legacy(world, "UPDATE auth_user SET email = 'new@example.org', last_login = now() WHERE username = 'user7'")
    legacy(
        world, "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active,"
        " date_joined)"
        " VALUES ('!', false, 'late', '', '', '', true, true, now())",
    )  # fmt: skip
    legacy(
        world,
        "INSERT INTO auth_user_groups (user_id, group_id) SELECT u.id, g.id FROM auth_user u, auth_group g"
        " WHERE u.username = 'late' AND g.name = 'late'",
    )
    legacy(
        world,
        "UPDATE auth_user_groups SET group_id = (SELECT id FROM auth_group WHERE name = 'late')"
        " WHERE user_id = (SELECT id FROM auth_user WHERE username = 'user8')",
    )
    legacy(world, "DELETE FROM auth_user_groups WHERE user_id = (SELECT id FROM auth_user WHERE username = 'user9')")
    legacy(world, "DELETE FROM auth_user WHERE username = 'user9'")
    both_loops()
    assert of_django(world) == set()
    assert moved(DJANGO).error == ""
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE auth_user SET email = 'lost@example.org' WHERE username = 'user1'")
    iam(
        world,
        "UPDATE users SET email = 'there@example.org', hashed_password = '$2b$12$' || repeat('a', 53) WHERE username = 'user1'",
    )
    iam(
        world, "INSERT INTO users (tenant_id, username, email, hashed_password, full_name, is_active, created_at)"
        " VALUES (%s, 'zoe', 'zoe@example.org', '$2b$12$x', 'Zoe Ray', true, now())", DJANGO,
    )  # fmt: skip
    iam(
        world,
        "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
        " WHERE u.username IN ('zoe', 'user2') AND r.name = 'late'",
    )
    iam(world, "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'user3')")
    iam(world, "DELETE FROM users WHERE username = 'user3'")
    both_loops()
    assert of_django(world) == set()
    assert moved(DJANGO, "legacy").error == ""
    assert of_django(world) == set()
    staff = "SELECT count(*) FROM auth_user WHERE is_staff"  # what the IAM does not have, it does not change
    assert legacy(world, staff) == [(5,)]
    assert legacy(
        world, "SELECT left(password, 11), first_name FROM auth_user WHERE username IN ('user1', 'zoe') ORDER BY 2"
    ) == [("bcrypt$$2b$", "Ann"), ("bcrypt$$2b$", "Zoe")]
    legacy(world, "UPDATE auth_user SET email = 'again@example.org' WHERE username = 'zoe'")
    both_loops()
    assert of_django(world) == set()
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == State.UNDONE


def written_in_keycloak(world: World, realm: str) -> None:
    """To every table of one realm's: rows come, change and go."""
    [(one,), (two,)] = legacy(world, "SELECT id FROM user_entity WHERE realm_id = %s ORDER BY username LIMIT 2", realm)
    legacy(world, "UPDATE realm SET name = name || ' now' WHERE id = %s", realm)
    legacy(world, "UPDATE user_entity SET email = username || '@new.example.org', enabled = false WHERE id = %s", one)
    legacy(
        world, 'UPDATE credential SET secret_data = \'{"value": "changed", "salt": "AAAA"}\' WHERE user_id = %s', one
    )
    legacy(world, "INSERT INTO credential (id, type, user_id) VALUES (gen_random_uuid()::text, 'otp', %s)", one)
    legacy(world, "UPDATE user_attribute SET value = '+1 555 0100' WHERE user_id = %s AND name = 'phone'", one)
    legacy(world, "UPDATE keycloak_role SET description = 'all of them' WHERE realm = %s", realm)
    legacy(
        world, "INSERT INTO keycloak_role (id, name, realm_id, realm) VALUES (gen_random_uuid()::text, 'late', %s, %s)",
        realm, realm,
    )  # fmt: skip
    legacy(
        world,
        "UPDATE user_role_mapping SET role_id = (SELECT id FROM keycloak_role WHERE name = 'late'"
        " AND realm = %s) WHERE user_id = %s",
        realm,
        one,
    )
    for table in ("user_role_mapping", "credential", "user_attribute"):
        legacy(world, f"DELETE FROM {table} WHERE user_id = %s", two)
    legacy(world, "DELETE FROM user_entity WHERE id = %s", two)
    late = "late " + realm
    legacy(
        world, "INSERT INTO user_entity (id, username, email, email_constraint, enabled, first_name, last_name, realm_id,"
        " created_timestamp)"
        " VALUES (gen_random_uuid()::text, %s, %s, %s, true, 'Lee', 'Late', %s, 1700000000000)", late, late, late, realm,
    )  # fmt: skip


def test_keycloaks_realms(world: World, settings: Any) -> None:
    run = begun(world, settings, "03_keycloak")
    assert of_keycloak(world) == set()
    realms = [row[0] for row in legacy(world, "SELECT id FROM realm ORDER BY name")]
    for realm in realms:
        written_in_keycloak(world, realm)
    both_loops()
    assert of_keycloak(world) == set()
    first, second, *_ = realms
    for realm in (first, second):
        assert moved(realm).error == ""
    legacy(
        world,
        "UPDATE user_entity SET email = 'still@example.org' WHERE id = (SELECT id FROM user_entity"
        " WHERE realm_id = %s ORDER BY id LIMIT 1)",
        realms[2],
    )
    people = "SELECT id FROM user_entity WHERE realm_id = %s"
    for write in ("user_entity SET enabled = false WHERE id", "credential SET priority = 1 WHERE user_id"):
        with pytest.raises(psycopg.Error, match="at home on the other system"):
            legacy(world, f"UPDATE {write} IN ({people})", first)
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE tenant_id = %s AND username LIKE 'late%%'", first)
    iam(
        world,
        "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id"
        " FROM users u JOIN roles r USING (tenant_id) WHERE tenant_id = %s AND username LIKE 'late%%' AND r.name = 'admin'",
        first,
    )
    iam(
        world,
        "DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE tenant_id = %s AND username LIKE '%%-50')",
        first,
    )
    iam(world, "UPDATE roles SET description = 'of the IAM' WHERE tenant_id = %s", first)
    both_loops()
    assert of_keycloak(world) == set()
    assert moved(first, "legacy").error == ""
    assert of_keycloak(world) == set()
    assert moved(second, "legacy").error == ""
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == State.UNDONE


def of_companies(world: World) -> set[Any]:
    words = {"administrator": "admin", "member": "user"}
    there = legacy(
        world, "SELECT a.login, a.mail, r.role, r.since FROM accounts a LEFT JOIN account_roles r ON r.account = a.id"
    )
    here = iam(
        world, "SELECT u.username, u.email, r.name, m.created_at FROM users u LEFT JOIN user_roles m ON m.user_id = u.id"
        " LEFT JOIN roles r ON r.id = m.role_id",
    )  # fmt: skip
    return {(login, mail, words.get(role, role), since) for login, mail, role, since in there} ^ set(here)


def test_roles_that_the_iam_knows_by_other_names(world: World, settings: Any) -> None:
    run = begun(world, settings, "05_roles_by_name")
    [kept] = QuarantinedRow.objects.filter(run=run.key, state="open")
    assert (kept.table_name, kept.reason) == ("user_roles", "role_id_not_found") and "auditor" in kept.source_key
    assert {row[2] for row in of_companies(world)} == {"auditor"}
    iam(world, "INSERT INTO roles (name) VALUES ('auditor')")
    assert revise(run, by="tester", reason="auditors are known by now") == ["user_roles"]
    run.refresh_from_db()
    assert retry_rows([kept], by="tester") == (1, 0)
    assert of_companies(world) == set()

    company, one, two = legacy(
        world, "SELECT company, min(id::text), max(id::text) FROM accounts GROUP BY 1 ORDER BY 1 LIMIT 1"
    )[0]
    legacy(world, "UPDATE account_roles SET role = 'auditor' WHERE account = %s AND role = 'member'", one)
    legacy(world, "INSERT INTO account_roles (account, role) VALUES (%s, 'guest')", two)
    both_loops()
    assert {row[2] for row in of_companies(world)} == {
        "guest"
    }  # a word of nobody's is kept back, as it was when copied
    legacy(world, "DELETE FROM account_roles WHERE role = 'guest'")
    both_loops()
    assert of_companies(world) == set()

    assert moved(str(company)).error == ""
    iam(world, "UPDATE user_roles SET role_id = (SELECT id FROM roles WHERE name = 'admin') WHERE user_id = %s", one)
    iam(world, "DELETE FROM user_roles WHERE user_id = %s", two)
    both_loops()
    assert of_companies(world) == set()
    assert legacy(world, "SELECT role FROM account_roles WHERE account = %s", one) == [("administrator",)]
    assert moved(str(company), "legacy").error == ""
    both_loops()
    assert of_companies(world) == set()
    assert report(Run.objects.get(pk=run.pk)).accounted
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == State.UNDONE
    assert iam(world, "SELECT name FROM roles ORDER BY name") == [("admin",), ("auditor",), ("user",)]


def test_a_dry_run_beside_what_a_run_brought_finds_what_the_plan_does_not_fill(world: World, settings: Any) -> None:
    begun(world, settings, "05_roles_by_name")
    again = report(builders.migrated(world, dry_run=True))
    assert again.passed and again.accounted


def test_what_was_found_may_not_lead_elsewhere_later(world: World, settings: Any) -> None:
    run = begun(world, settings, "05_roles_by_name")
    iam(world, "UPDATE roles SET name = 'chief' WHERE name = 'admin'")
    with pytest.raises(PlanError, match="row 'admin' has another name"):
        revise(run, by="tester", reason="a test")


def test_nothing_to_revise_is_said(world: World, settings: Any) -> None:
    run = begun(world, settings, "05_roles_by_name")
    with pytest.raises(Refusal, match="looks up the same"):
        revise(run, by="tester", reason="a test")


def test_preflight_foretells_what_is_not_found(world: World, settings: Any) -> None:
    settings.MIGRATION_PLAN = EXAMPLES / "05_roles_by_name" / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / "05_roles_by_name")
    found = {finding["subject"]: finding for finding in preflight()["findings"]}
    assert found["user_roles: role_id_not_found"]["what"] == "Rows to quarantine: 1."
    assert not [each for each in found.values() if each["severity"] == "error"]


ASPNET = "5f0c0000-0000-4000-8000-000000000006"


def of_aspnet(world: World) -> set[Any]:
    there = legacy(
        world, 'SELECT u."Id", "UserName", "Email", "EmailConfirmed", "PhoneNumber", "TwoFactorEnabled", string_agg("Name", \',\''
        ' ORDER BY "Name") FROM "AspNetUsers" u LEFT JOIN "AspNetUserRoles" m ON m."UserId" = u."Id"'
        ' LEFT JOIN "AspNetRoles" r ON r."Id" = m."RoleId" GROUP BY u."Id"',
    )  # fmt: skip
    here = iam(
        world, "SELECT u.id::text, username, email, coalesce(email_verified, false), phone_number, coalesce(mfa_enabled, false),"
        " string_agg(r.name, ',' ORDER BY r.name) FROM users u LEFT JOIN user_roles m ON m.user_id = u.id"
        " LEFT JOIN roles r ON r.id = m.role_id GROUP BY u.id",
    )  # fmt: skip
    return set(there) ^ set(here)


def test_aspnet_identitys_users_and_roles(world: World, settings: Any) -> None:
    run = begun(world, settings, "06_aspnet_identity")
    assert of_aspnet(world) == set()
    one, two, three = (row[0] for row in legacy(world, 'SELECT "Id" FROM "AspNetUsers" ORDER BY "UserName" LIMIT 3'))
    legacy(world, 'UPDATE "AspNetUsers" SET "Email" = \'new@example.org\', "PhoneNumber" = \'+1\' WHERE "Id" = %s', one)
    legacy(world, 'DELETE FROM "AspNetUsers" WHERE "Id" = %s', two)
    legacy(world, "INSERT INTO \"AspNetRoles\" VALUES ('0D1C0000-0000-4000-8000-000000000001', 'Late', 'LATE', '')")
    legacy(world, 'INSERT INTO "AspNetUserRoles" SELECT %s, "Id" FROM "AspNetRoles" WHERE "Name" = \'Late\'', three)
    both_loops()
    assert of_aspnet(world) == set()
    assert moved(ASPNET).error == ""
    stamps = dict(legacy(world, 'SELECT "Id", "SecurityStamp" FROM "AspNetUsers"'))
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE id = %s", one)
    iam(world, "UPDATE users SET hashed_password = '$2b$12$' || repeat('a', 53) WHERE id = %s", three)
    iam(
        world, "INSERT INTO users (id, tenant_id, username, email, hashed_password) VALUES"
        " ('0d1c0000-0000-4000-8000-000000000002', %s, 'zoe', 'zoe@example.org', '!')", ASPNET,
    )  # fmt: skip
    iam(
        world, "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
        " WHERE (username, name) = ('zoe', 'Late')",
    )  # fmt: skip
    iam(world, "DELETE FROM user_roles WHERE user_id = %s", one)
    both_loops()
    assert of_aspnet(world) == set()
    changed = dict(legacy(world, 'SELECT "Id", "SecurityStamp" FROM "AspNetUsers" WHERE "SecurityStamp" IS NOT NULL'))
    assert {id for id, stamp in stamps.items() if changed[id] != stamp} == {three}  # whose password changed
    assert legacy(
        world, 'SELECT left("PasswordHash", 4), "NormalizedUserName" FROM "AspNetUsers" WHERE "Id" = %s', three
    ) == [("$2b$", "USER100")]
    assert legacy(world, 'SELECT "NormalizedEmail", "PasswordHash" FROM "AspNetUsers" WHERE "UserName" = \'zoe\'') == [
        ("ZOE@EXAMPLE.ORG", None)
    ]
    assert moved(ASPNET, "legacy").error == ""
    assert of_aspnet(world) == set()
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == State.UNDONE


def test_preflight_wants_no_second_sequence_for_what_legacys_own_counts(world: World, settings: Any) -> None:
    settings.MIGRATION_PLAN = EXAMPLES / "04_django" / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / "04_django")
    said = [f"{finding['subject']}: {finding['what']}" for finding in preflight()["findings"]]
    assert said and not [each for each in said if "It counts by" in each]
