"""Legacy schemas that nothing of ours was written for: copied, followed, guarded, moved, brought back, and undone."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from flags.models import TenantHome
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard
from migration_portal.cutover.models import Stray
from migration_portal.inventory.preflight import preflight
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.report import report
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import (
    ACCEPTED,
    BY_ORGANIZATION,
    EXAMPLES,
    ONE,
    STUCK,
    TRIMMED,
    TWO,
    differences,
    migrated,
    org,
    organizations,
    person,
    unlike,
    users,
)
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.world import World


def test_all_users_of_one_tenant_move_and_come_back(world: World, plan: Any) -> None:
    plan()
    organizations(world, ONE)
    users(world, "ann", "bob")
    run = migrated(world)
    guard.switch(on=True, by="tester")
    legacy(world, "UPDATE auth_user SET full_name = 'Followed' WHERE username = 'ann'")
    legacy(world, "DELETE FROM auth_user WHERE username = 'bob'")
    users(world, "cem")
    assert moved(ONE).error == ""
    assert differences(world) == set()
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        users(world, "dan")
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE auth_user SET full_name = 'Lost'")
    iam(world, "UPDATE users SET full_name = 'Of the IAM' WHERE username = 'ann'")
    iam(world, "DELETE FROM users WHERE username = 'cem'")
    both_loops()
    assert differences(world) == set()
    assert moved(ONE, "legacy").error == ""
    users(world, "eve")
    both_loops()
    assert differences(world) == set() and legacy(world, "SELECT count(*) FROM auth_user") == [(2,)]
    undo(run, by="tester", reason="test")
    builders.finish(run)
    assert iam(world, "SELECT username FROM users") == [("ann",)]  # edited there since


def test_a_write_astray_is_listed_with_the_tenant_that_the_expression_gives(world: World, plan: Any) -> None:
    plan()
    organizations(world, ONE)
    users(world, "ann")
    migrated(world)
    moved(ONE)
    legacy(world, "UPDATE auth_user SET full_name = 'Astray'")
    both_loops()
    assert Stray.objects.get().tenant == ONE
    assert iam(world, "SELECT full_name FROM users") == [("",)]


def test_tenants_of_an_expression_move_one_by_one(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    guard.switch(on=True, by="tester")
    assert moved(TWO).error == ""
    users(world, "cem")
    legacy(world, "UPDATE auth_user SET full_name = 'Still legacy' WHERE username = 'ann'")
    iam(world, "UPDATE users SET full_name = 'Of the IAM' WHERE username = 'bob'")
    for refused in ("bob", "ann"):
        side = legacy if refused == "bob" else iam
        table = "auth_user" if refused == "bob" else "users"
        with pytest.raises(psycopg.Error, match="at home on the other system"):
            side(world, f"UPDATE {table} SET full_name = 'Lost' WHERE username = '{refused}'")
    both_loops()
    assert differences(world) == set()
    assert moved(TWO, "legacy").error == ""
    assert legacy(world, "SELECT organization FROM auth_user WHERE username = 'bob'") == [("two",)]


def test_a_row_that_leaves_for_a_tenant_of_the_iam_is_refused(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann", "bob")
    migrated(world)
    guard.switch(on=True, by="tester")
    assert moved(TWO).error == ""
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE auth_user SET organization = 'two' WHERE username = 'ann'")


def test_a_quarantined_row_is_in_the_way_of_the_tenant_that_the_expression_gives(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION, ("[tables.reverse]", "[tables.reject]\nodd = \"username = 'bob'\"\n\n[tables.reverse]"))
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    assert QuarantinedRow.objects.get().tenant == TWO
    assert "In quarantine: 1 of its rows" in moved(TWO).error and moved(ONE).error == ""
    assert set(TenantHome.objects.filter(home="iam").values_list("pk", flat=True)) == {ONE}


def test_what_would_come_back_as_something_else_keeps_its_tenant_from_leaving(world: World, plan: Any) -> None:
    plan(TRIMMED, *BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    legacy(world, "UPDATE auth_user SET full_name = '  Bob ' WHERE username = 'bob'")
    migrated(world)
    assert "auth_user.full_name would come back as something else in 1 of its rows" in moved(TWO).error
    assert moved(ONE).error == ""


def test_the_way_back_changes_only_what_the_iam_has_changed(world: World, plan: Any) -> None:
    plan(TRIMMED, ACCEPTED)
    organizations(world, ONE)
    users(world, "ann", "bob")
    legacy(world, "UPDATE auth_user SET full_name = '  as typed '")
    migrated(world)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET email = 'new@example.org' WHERE username = 'ann'")
    iam(world, "UPDATE users SET full_name = 'Bob' WHERE username = 'bob'")
    both_loops()
    assert moved(ONE, "legacy").error == ""
    assert legacy(world, "SELECT username, email, full_name FROM auth_user ORDER BY 1") == [
        ("ann", "new@example.org", "  as typed "), ("bob", "bob@example.org", "Bob"),
    ]  # fmt: skip


def test_a_way_back_that_cannot_work_is_an_error_of_the_pre_flight_and_keeps_all_from_leaving(
    world: World, plan: Any
) -> None:
    plan(('date_joined = "created_at"', 'date_joined = "created_at / 0"'))
    organizations(world, ONE)
    users(world, "ann")
    migrated(world)
    [found] = [each for each in preflight()["findings"] if each["severity"] == "error"]
    assert found["subject"] == "auth_user.date_joined" and "operator does not exist" in found["what"]
    assert "The reverse of auth_user.date_joined fails: operator does not exist" in moved(ONE).error


def test_a_row_that_cannot_come_back_waits_alone_and_keeps_its_tenant_from_coming_back(world: World, plan: Any) -> None:
    plan(STUCK)
    organizations(world, ONE)
    users(world, "ann", "bob")
    migrated(world)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET full_name = 'Stuck' WHERE username = 'ann'")
    iam(world, "UPDATE users SET full_name = 'Free' WHERE username = 'bob'")
    both_loops()
    assert legacy(world, "SELECT full_name FROM auth_user ORDER BY username") == [("",), ("Free",)]
    assert FlowStatus.objects.get(pk="reverse").retrying == 1
    assert moved(ONE, "legacy").state == "blocked"


def test_a_tenant_that_no_trigger_can_say_is_not_captured(world: World, plan: Any) -> None:
    plan(
        (
            "'5f0c0000-0000-4000-8000-000000000001'::uuid",
            f"(CASE WHEN ctid IS NOT NULL THEN '{ONE}' END)::uuid",
        )
    )
    organizations(world, ONE)
    users(world, "ann")
    run = builders.migrated(world, capture=True)
    assert run.state == "failed"
    [(error,)] = iam(world, "SELECT error FROM portal_ledger.chunks WHERE error <> ''")
    assert "auth_user: Whose its rows are cannot be said by a trigger" in error


def test_changes_of_credentials_alone_arrive(world: World, joined: Any) -> None:
    joined()
    ann, bob = person(world, "ann"), person(world, "bob", "bolt")
    migrated(world)
    assert unlike(world) == set()
    legacy(world, "UPDATE credentials SET hash = 'h1' WHERE person = %s", ann)
    legacy(world, "DELETE FROM credentials WHERE person = %s", bob)
    person(world, "cem", hash="h2")
    both_loops()
    assert unlike(world) == set() and len(iam(world, "SELECT 1 FROM users WHERE hashed_password = '!'")) == 1
    legacy(world, "TRUNCATE credentials")
    both_loops()
    assert unlike(world) == set()


def test_credentials_move_with_their_person_and_come_back(world: World, joined: Any) -> None:
    joined()
    ann, bob = person(world, "ann"), person(world, "bob", "bolt")
    migrated(world)
    guard.switch(on=True, by="tester")
    acme = org(world, "acme")
    legacy(world, "UPDATE credentials SET hash = 'at the last moment' WHERE person = %s", ann)
    assert moved(acme).error == ""
    assert unlike(world) == set()
    with pytest.raises(psycopg.Error, match="at home on the other system"):
        legacy(world, "UPDATE credentials SET hash = 'lost' WHERE person = %s", ann)
    legacy(world, "UPDATE credentials SET hash = 'of legacy' WHERE person = %s", bob)
    iam(world, "UPDATE users SET hashed_password = 'of the IAM' WHERE id = %s", ann)
    iam(
        world, "INSERT INTO users (id, tenant_id, username, email, hashed_password, is_active)"
        " VALUES (gen_random_uuid(), %s, 'born', 'born', 'new', true)", acme,
    )  # fmt: skip
    both_loops()
    assert unlike(world) == set()
    iam(world, "DELETE FROM users WHERE username = 'born'")
    both_loops()
    assert unlike(world) == set()
    assert moved(acme, "legacy").error == ""
    legacy(world, "UPDATE credentials SET hash = 'again' WHERE person = %s", ann)
    both_loops()
    assert unlike(world) == set()


def test_a_table_that_is_read_unsaid_is_not_captured(world: World, joined: Any) -> None:
    text = (EXAMPLES / "02_people_and_credentials/plan.toml").read_text()
    said = text[text.index("[tables.reads.credentials]") : text.rindex("[tables.columns]")]
    joined((said, ""))
    person(world, "ann")
    findings = {f["subject"]: f["what"] for f in preflight()["findings"]}
    assert "read credentials, whose changes would not be captured" in findings["capture: people"]
    assert builders.migrated(world).state == "completed"
    assert builders.migrated(world, capture=True).state == "failed"


def test_two_of_one_address_where_keys_are_numbers_are_quarantined_and_named(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "ben")
    legacy(world, "UPDATE auth_user SET email = 'both@example.org'")
    run = builders.migrated(world, capture=True)
    told = report(run)
    assert told.tables["users"].reasons == {"duplicate_tenant_id_email": 1}
    [row] = QuarantinedRow.objects.all()
    assert row.source_key == [
        str(number) for (number,) in legacy(world, "SELECT id FROM auth_user WHERE username = 'ben'")
    ]


def test_parents_that_only_the_iam_should_have_are_foretold(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    users(world, "ann")
    users(world, "bob", organization="two")
    told = {
        each["table"]: {rule["rule"]: rule["count"] for rule in each["rejected"]}
        for each in preflight()["completeness"]
    }
    assert told["users"] == {"missing_tenants": 1}, "one is given by the plan, of the other nobody knows"
    run = report(builders.migrated(world))
    assert run.tables["users"].reasons == {"missing_tenants": 1}
    organizations(world, TWO)
    assert [each["rejected"] for each in preflight()["completeness"]] == [[]]
