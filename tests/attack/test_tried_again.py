"""Rows of the quarantine that can arrive by now, and single rows that stop nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.retry import retry_row, retry_rows
from tests import builders
from tests.attack.test_hardest import LOWER, RULE
from tests.attack.test_links_and_keys import both_loops, told, use
from tests.attack.test_passed_on import again
from tests.attack.test_views import begun
from tests.attack.test_yet_harder import LOGINS
from tests.cutover.moves import both_loops as loops
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import ONE, org, organizations, person
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.world import World

HELD = f"""
[[tables]]
source = "keys"
target = "licenses"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id"
tenant_id = "'{ONE}'::uuid"
license_key = "word"
holder = "%s"
"""
ROOT = (
    "INSERT INTO users (tenant_id, username, email, hashed_password)"
    " SELECT id, 'root', 'root', 'x' FROM tenants WHERE slug = 'acme'"
)


@pytest.mark.parametrize("how", ["capitals", "by another column", "at copy"])
def test_an_orphan_comes_back_once_its_parent_has_arrived(world: World, settings: Any, tmp_path: Any, how: str) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(world, "CREATE TABLE keys (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), buyer text, word text)")
    people = LOGINS % ('"id"', "id::uuid") + RULE
    if how == "by another column":
        iam(world, "ALTER TABLE users ADD UNIQUE (username)")
        iam(world, "ALTER TABLE licenses ADD holder varchar(255) REFERENCES users (username)")
        use(settings, tmp_path, people + HELD % "buyer")
    else:
        iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users")
        use(settings, tmp_path, people + HELD % "buyer::uuid" + '[tables.reject]\nodd = { uuid = "buyer" }\n')
    organizations(world, ONE)
    insert, buyer = "INSERT INTO keys (buyer, word) VALUES (%s, 'k')", LOWER.upper()
    if how == "at copy":
        legacy(world, insert, buyer)
    assert builders.migrated(world, capture=True).state == "completed"
    sync_tenants()
    both_loops()
    if how != "at copy":
        legacy(world, insert, "ann" if how == "by another column" else buyer)
    again(world)
    assert QuarantinedRow.objects.get(state="open").reason == "missing_users"
    legacy(world, "INSERT INTO people VALUES (%s, 'ann')", LOWER)
    again(world, 1)
    assert iam(world, "SELECT license_key FROM licenses") == [("k",)]


def test_a_row_of_the_runs_that_was_quarantined_since_is_retried_once_the_cause_is_gone(
    world: World, joined: Any
) -> None:
    """Bob, whom the run brought, takes a login in legacy that the IAM gave to somebody, who is removed a minute later."""
    joined()
    bob = person(world, "bob")
    begun(world, guarded=False)
    iam(world, ROOT)
    both_loops()
    legacy(world, "UPDATE people SET login = 'root' WHERE id = %s", bob)
    again(world)
    row = QuarantinedRow.objects.get(state="open")
    assert row.reason.startswith("duplicate_tenant_id")
    iam(world, "DELETE FROM users WHERE username = 'root'")
    retry_row(row, by="t")
    row.refresh_from_db()
    assert row.state == "copied" and iam(world, "SELECT username FROM users") == [("root",)]
    retry_row(row, by="t")  # it was decided meanwhile


def test_two_whose_swap_was_quarantined_are_retried_once_the_cause_is_gone(world: World, joined: Any) -> None:
    """Ann and Bob swap their mails in legacy; Bob also takes a login that the IAM gave to somebody."""
    joined()
    ann, bob = person(world, "ann"), person(world, "bob")
    begun(world, guarded=False)
    iam(world, ROOT)
    both_loops()
    with world.legacy() as there, there.transaction():
        there.execute("UPDATE people SET mail = 'between' WHERE id = %s", [ann])
        there.execute("UPDATE people SET mail = 'ann', login = 'root' WHERE id = %s", [bob])
        there.execute("UPDATE people SET mail = 'bob' WHERE id = %s", [ann])
    again(world)
    rows = list(QuarantinedRow.objects.filter(state="open"))
    assert len(rows) == 2
    iam(world, "DELETE FROM users WHERE username = 'root'")
    assert retry_rows(rows, by="t") == (2, 0)
    assert sorted(iam(world, "SELECT username, email FROM users")) == [("ann", "bob"), ("root", "ann")]


CASE = (
    "CREATE FUNCTION word(note text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN CASE coalesce(note, ''a'')"
    " WHEN ''a'' THEN RETURN ''A''; WHEN ''b'' THEN RETURN ''B''; END CASE; END'"
)


@pytest.mark.parametrize("when", ["copy", "catch-up", "back"])
def test_a_case_that_a_function_does_not_know_stops_nobody_else(world: World, joined: Any, when: str) -> None:
    """PL/pgSQL's CASE without ELSE: SQLSTATE 20000, case_not_found."""
    joined(
        ('is_active = "active"\n', f'is_active = "active"\nbio = "{"note" if when == "back" else "word(note)"}"\n'),
        ('active = "is_active"', 'active = "is_active"\nnote = "bio"'),
    )
    legacy(world, "ALTER TABLE people ADD note text")
    legacy(world, CASE)
    ann, bob = person(world, "ann"), person(world, "bob", org="bolt")
    if when == "back":
        legacy(world, "ALTER TABLE people ADD CHECK (word(note) <> '')")
    if when == "copy":
        legacy(world, "UPDATE people SET note = 'c' WHERE id = %s", ann)
        run = builders.migrated(world, capture=True)
        assert run.state == "completed" and iam(world, "SELECT username FROM users") == [("bob",)], run.failures
        return
    run = begun(world)
    if when == "catch-up":
        legacy(world, "UPDATE people SET note = 'c' WHERE id = %s", ann)
        legacy(world, "UPDATE people SET mail = 'new' WHERE id = %s", bob)
        loops()
        assert iam(world, "SELECT email FROM users WHERE username = 'bob'") == [("new",)], told(run)
    else:
        assert moved(org(world, "acme")).error == "" and moved(org(world, "bolt")).error == ""
        iam(world, "UPDATE users SET bio = 'c' WHERE username = 'ann'")
        iam(world, "UPDATE users SET email = 'new' WHERE username = 'bob'")
        loops()
        assert legacy(world, "SELECT mail FROM people WHERE login = 'bob'") == [("new",)], told(run)


def test_a_trigger_of_the_iams_that_changes_its_own_row_stops_nobody_else(world: World, joined: Any) -> None:
    """27000, triggered_data_change_violation: the server's own error, of one row alone."""
    joined()
    iam(
        world,
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN UPDATE users SET bio = ''x'' WHERE id = NEW.id; RETURN NEW; END'",
    )
    iam(
        world,
        "CREATE TRIGGER odd BEFORE UPDATE ON users FOR EACH ROW"
        " WHEN (NEW.email = 'odd' AND NEW.bio IS NULL) EXECUTE FUNCTION odd()",
    )
    ann, bob = person(world, "ann"), person(world, "bob", org="bolt")
    run = begun(world)
    legacy(world, "UPDATE people SET mail = 'odd' WHERE id = %s", ann)
    legacy(world, "UPDATE people SET mail = 'new' WHERE id = %s", bob)
    loops()
    assert iam(world, "SELECT email FROM users WHERE username = 'bob'") == [("new",)], told(run)
