"""Two rows of legacy that are one in the IAM, because their ids are one uuid: what is made of the one that was kept back."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.retry import discard_rows, retry_rows
from tests import builders
from tests.attack.test_hardest import BACK, LOWER, RULE, refused_or_captured
from tests.attack.test_links_and_keys import both_loops, captured, told, use
from tests.attack.test_yet_harder import LOGINS
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import ONE, organizations
from tests.world import World

PEOPLE = "CREATE TABLE people (id text PRIMARY KEY, mail text)"
GRANTS = """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
[tables.columns]
user_id = "person::uuid"
role_id = { lookup = "roles", by = "name", value = "role", where = "tenant_id IS NULL" }
[tables.reject]
no_uuid = { uuid = "person" }
"""
ROLES = "SELECT u.email, r.name FROM user_roles m JOIN roles r ON r.id = m.role_id JOIN users u ON u.id = m.user_id ORDER BY 2"


def open_rows(table: str) -> list[QuarantinedRow]:
    return list(QuarantinedRow.objects.filter(table_name=table, state="open"))


@pytest.mark.parametrize("when", ["copy", "catch-up"])
def test_what_another_table_gives_a_twin_that_is_kept_back_does_not_go_to_its_namesake(
    world: World, settings: Any, tmp_path: Any, when: str
) -> None:
    """Legacy's foreign key tells 'a…' from 'A…': of both one arrives, and the other's role is not the first's."""
    legacy(world, PEOPLE)
    legacy(world, "CREATE TABLE grants (person text REFERENCES people, role text, PRIMARY KEY (person, role))")
    legacy(world, "INSERT INTO people VALUES (%s, 'first')", LOWER)
    legacy(world, "INSERT INTO grants VALUES (%s, 'plain')", LOWER)
    organizations(world, ONE)
    iam(world, "INSERT INTO roles (name) VALUES ('plain'), ('boss')")
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + RULE + GRANTS)

    def twin() -> None:
        legacy(world, "INSERT INTO people VALUES (%s, 'second')", LOWER.upper())
        legacy(world, "INSERT INTO grants VALUES (%s, 'boss')", LOWER.upper())

    if when == "copy":
        twin()
    run = refused_or_captured(world)
    assert run is not None
    if when == "catch-up":
        twin()
        both_loops()
    assert iam(world, ROLES) in ([("first", "plain")], [("second", "boss")])
    [kept] = {row.source_key[0] for row in open_rows("users")}
    legacy(world, "DELETE FROM grants WHERE person <> %s", kept)
    legacy(world, "DELETE FROM people WHERE id <> %s", kept)
    both_loops()
    both_loops()  # who was kept back with the twin comes once the twin has
    assert iam(world, ROLES) in ([("first", "plain")], [("second", "boss")]) and not open_rows("user_roles"), told(run)


def two_people(world: World, settings: Any, tmp_path: Any, rule: str) -> str:
    """Of two the copy brought one, and the other was discarded from quarantine. Returns the mail of who arrived."""
    legacy(world, PEOPLE)
    legacy(world, "INSERT INTO people VALUES (%s, 'lower'), (%s, 'upper')", LOWER, LOWER.upper())
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + rule)
    organizations(world, ONE)
    assert builders.migrated(world, capture=True).state == "completed"
    sync_tenants()
    both_loops()
    [(arrived,)] = iam(world, "SELECT email FROM users")
    builders.decided()
    return str(arrived)


@pytest.mark.parametrize("rule", [RULE, ""], ids=["rule", "bare"])
def test_what_the_iam_writes_comes_back_to_the_twin_that_arrived(
    world: World, settings: Any, tmp_path: Any, rule: str
) -> None:
    arrived = two_people(world, settings, tmp_path, rule + BACK)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET email = 'new', username = 'new'")
    both_loops()
    other = {"lower": "upper", "upper": "lower"}[arrived]
    assert {mail for (mail,) in legacy(world, "SELECT mail FROM people")} == {"new", other}


@pytest.mark.parametrize("rule", [RULE, ""], ids=["rule", "bare"])
def test_a_twin_that_was_discarded_does_not_take_the_row_of_the_one_that_arrived(
    world: World, settings: Any, tmp_path: Any, rule: str
) -> None:
    arrived = two_people(world, settings, tmp_path, rule)
    legacy(world, "UPDATE people SET mail = 'again' WHERE mail = %s", arrived)
    both_loops()
    assert iam(world, "SELECT email FROM users") == [("again",)]


TWO_OF_ONE = GRANTS.replace('"grants"', '"people"').replace('["person", "role"]', '["id"]').replace("person", "id")
PEOPLE_WITH_ROLES = "CREATE TABLE people (id text PRIMARY KEY, mail text, role text NOT NULL)"


def two_of_one(world: World, settings: Any, tmp_path: Any) -> Run:
    """People and their roles of one table: the second, whose id is in capitals, is kept back with his role."""
    legacy(world, PEOPLE_WITH_ROLES)
    legacy(world, "INSERT INTO people VALUES (%s, 'first', 'plain')", LOWER)
    organizations(world, ONE)
    iam(world, "INSERT INTO roles (name) VALUES ('plain'), ('boss')")
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + RULE + TWO_OF_ONE)
    run = captured(world)
    legacy(world, "INSERT INTO people VALUES (%s, 'second', 'boss')", LOWER.upper())
    both_loops()
    assert [row.reason for row in open_rows("users") + open_rows("user_roles")] == ["key_twice", "key_twice"]
    return run


def test_a_namesakes_role_that_is_retried_alone_does_not_go_to_its_namesake(
    world: World, settings: Any, tmp_path: Any
) -> None:
    run = two_of_one(world, settings, tmp_path)
    discard_rows(open_rows("users"), by="t", reason="r")
    with contextlib.suppress(Refusal):
        retry_rows(open_rows("user_roles"), by="t")
    both_loops()
    assert iam(world, ROLES) == [("first", "plain")], told(run)


def test_a_namesake_that_is_retried_does_not_take_the_row_of_one_that_the_iam_touched(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """The IAM noted something of its own in the first one's row."""
    run = two_of_one(world, settings, tmp_path)
    iam(world, "UPDATE users SET last_password_change = now()")
    with contextlib.suppress(Refusal):
        retry_rows(open_rows("users"), by="t")
    both_loops()
    assert iam(world, ROLES) == [("first", "plain")], told(run)


def test_preflight_and_dry_run_foretell_what_is_made_of_a_namesake(world: World, settings: Any, tmp_path: Any) -> None:
    legacy(world, PEOPLE_WITH_ROLES)
    legacy(world, "INSERT INTO people VALUES (%s, 'first', 'plain'), (%s, 'second', 'boss')", LOWER, LOWER.upper())
    organizations(world, ONE)
    iam(world, "INSERT INTO roles (name) VALUES ('plain'), ('boss')")
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + RULE + TWO_OF_ONE)
    foretold = {
        (each["table"], rule["rule"]): rule["count"]
        for each in preflight()["completeness"]
        for rule in each["rejected"]
    }

    def seen(**options: bool) -> Any:
        QuarantinedRow.objects.all().delete()
        builders.migrated(world, **options)
        return Counter(QuarantinedRow.objects.filter(state="open").values_list("table_name", "reason"))

    assert seen(dry_run=True) == seen(capture=True) == foretold


@pytest.mark.parametrize("rules", ["", '[tables.reject]\np = { uuid = "person" }\nr = { uuid = "role" }\n'])
def test_a_key_of_two_uuids_that_may_be_written_in_many_ways_wants_rules(
    world: World, settings: Any, tmp_path: Any, rules: str
) -> None:
    legacy(world, PEOPLE)
    legacy(world, "CREATE TABLE grants (person text, role text, PRIMARY KEY (person, role))")
    organizations(world, ONE)
    by_id = GRANTS.split("[tables.reject]")[0].partition("role_id")[0] + 'role_id = "role::uuid"\n'
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + by_id + rules)
    run = builders.migrated(world, capture=True)
    if rules:
        assert run.state == "completed", run.failures
    else:
        assert run.state == "failed" and 'not_a_uuid = { uuid = "person" }' in run.failures[0]
