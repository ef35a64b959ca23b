"""What a stranger tried with other schemas after a copy: looking at whole tables beside a row that cannot be mapped, restoring
legacy under numbers that were given since, support, and a role that only the IAM gave.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from flags.models import TenantHome
from migration_portal.backups import reconcile, swap
from migration_portal.cutover import follow_up, people
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.rehearsal import moves
from migration_portal.rehearsal.figures import production
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from migration_portal.support.find import find
from migration_portal.support.person import person
from tests import builders
from tests.attack.test_views import begun, hold_still
from tests.backups.builders import backed_up
from tests.backups.conftest import backups as backups
from tests.backups.test_restore import databases_left as databases_left
from tests.backups.test_restore import restored, swapped
from tests.console.browsing import browser
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import (
    BY_ORGANIZATION,
    ONE,
    STUCK,
    TWO,
    differences,
    migrated,
    organizations,
    users,
)
from tests.journeys.other_schemas import plan as plan
from tests.journeys.test_one_into_many import CAPTURED, ROLES_IN_A_COLUMN
from tests.journeys.test_views import changed
from tests.world import World

BY_TEXT = (
    (
        "'5f0c0000-0000-4000-8000-000000000001'::uuid",
        "('5f0c0000-0000-4000-8000-00000000000' || organization)::uuid",
    ),
    ('ignored = ["organization"]\n', ""),
    ("[tables.reverse]\n", '[tables.reverse]\norganization = "right(tenant_id::text, 1)"\n'),
)
TEAMS = """
CREATE TABLE teams (id serial PRIMARY KEY, title text NOT NULL);
CREATE TABLE people (id serial PRIMARY KEY, team int NOT NULL REFERENCES teams, login text NOT NULL, phone text, mail text);
INSERT INTO teams (title) VALUES ('acme'), ('bolt');
INSERT INTO people (team, login, mail) VALUES
    (2, 'ann', '{"a": "x@example.org"}'), (2, 'bob', 'not json'), (1, 'gone', '{"a": "y@example.org"}')
"""
TEAMS_PLAN = """
name = "teams"
[[tables]]
source = "teams"
target = "tenants"
key = ["id"]
tenant = "id"
columns = { id = { number = "id" }, name = "title", slug = "title" }
reverse = { id = { number = "id" }, title = "name" }
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = { number = "id" }
tenant_id = { number = "team", of = "teams" }
username = "login"
phone_number = "phone"
email = "(mail::jsonb ->> 'a')"
hashed_password = "'!'"
[tables.reverse]
id = { number = "id" }
team = { number = "tenant_id", of = "teams" }
login = "username"
phone = "phone_number"
mail = "jsonb_build_object('a', email)::text"
"""
BY_ORG = """
CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org text NOT NULL, login text NOT NULL, roles text);
CREATE VIEW grants AS SELECT id AS person, btrim(role) AS role FROM people, unnest(string_to_array(roles, ',')) AS role;
INSERT INTO people (org, login, roles) VALUES ('1', 'ann', 'admin,user'), ('2', 'bob', 'user')
"""
APART = """
name = "apart"
[[rows]]
target = "tenants"
columns = { id = "'5f0c0000-0000-4000-8000-000000000001'", name = "'Ours'", slug = "'ours'" }
[[tables]]
source = "everybody"
view = true
target = "users"
key = ["kind", "id"]
tenant = "tenant_id"
[tables.columns]
id = "md5(kind || id::text)::uuid"
tenant_id = "'5f0c0000-0000-4000-8000-000000000001'::uuid"
username = "login"
hashed_password = "'!'"
"""
ONE_TABLE = (
    APART.replace('"everybody"\nview = true', '"staff"').replace('["kind", "id"]', '["id"]').replace("kind || id", "id")
)
STAFF = """
CREATE TABLE staff (id serial PRIMARY KEY, login text NOT NULL);
CREATE TABLE customers (id serial PRIMARY KEY, login text NOT NULL);
CREATE VIEW everybody AS SELECT 'staff' AS kind, id, login FROM staff UNION ALL SELECT 'customer', id, login FROM customers;
INSERT INTO staff (login) VALUES ('ann');
INSERT INTO customers (login) VALUES ('bob')
"""


def odd(world: World, plan: Any) -> None:
    """A person whose tenant cannot be said, who was discarded, beside one of each of two tenants."""
    plan(*BY_TEXT)
    organizations(world, ONE, TWO)
    users(world, "ann", organization="1")
    users(world, "bob", organization="2")
    users(world, "odd", organization="z")
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    builders.decided()
    sync_tenants()
    both_loops()


def teams(world: World, settings: Any, place: Path) -> None:
    """People of two teams, of whom one cannot be mapped."""
    legacy(world, TEAMS)
    settings.MIGRATION_PLAN = place / "plan.toml"
    settings.MIGRATION_PLAN.write_text(TEAMS_PLAN)
    builders.migrated(world, capture=True)
    assert [(row.reason, row.source_key) for row in QuarantinedRow.objects.all()] == [("cannot_be_mapped", ["2"])]
    sync_tenants()
    both_loops()


def team(world: World, slug: str) -> str:
    return str(iam(world, "SELECT id::text FROM tenants WHERE slug = %s", slug)[0][0])


def born(world: World, tenant: str, name: str) -> str:
    [(id,)] = iam(
        world,
        "INSERT INTO users (tenant_id, username, email, hashed_password, full_name, is_active, is_superuser, created_at)"
        " VALUES (%s, %s, %s, 'x', 'Zoe', true, false, now()) RETURNING id::text",
        tenant, name, f"{name}@example.org",
    )  # fmt: skip
    return str(id)


def waits(world: World) -> Any:
    return legacy(world, "SELECT table_name, key FROM portal_capture.queue")


def test_a_row_without_a_tenant_in_quarantine_keeps_no_whole_table_from_being_looked_at(
    world: World, plan: Any
) -> None:
    odd(world, plan)
    legacy(world, "SELECT portal_capture.whole('auth_user')")
    both_loops()
    assert waits(world) == []


def test_nor_does_one_that_cannot_be_mapped_where_the_queue_is_full(
    world: World, settings: Any, tmp_path: Path
) -> None:
    teams(world, settings, tmp_path)
    legacy(world, "UPDATE portal_capture.brake SET upto = 0")
    legacy(world, "UPDATE people SET phone = '1' WHERE login = 'ann'")
    legacy(world, "DELETE FROM people WHERE login = 'gone'")
    both_loops()
    assert iam(world, "SELECT username, phone_number FROM users") == [("ann", "1")] and waits(world) == []


def test_nor_one_where_the_table_was_loaded_anew(world: World, settings: Any, tmp_path: Path) -> None:
    teams(world, settings, tmp_path)
    anew = "TRUNCATE people; INSERT INTO people SELECT * FROM kept"
    legacy(world, f"CREATE TABLE kept AS SELECT * FROM people WHERE login <> 'gone'; {anew}")
    both_loops()
    assert iam(world, "SELECT username FROM users") == [("ann",)]


def test_nor_on_the_way_back(world: World, plan: Any) -> None:
    plan(STUCK)
    organizations(world, ONE)
    users(world, "ann", "bob")
    migrated(world)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET full_name = 'Stuck' WHERE username = 'ann'")
    both_loops()
    legacy(
        world, "SET portal.applying = 'on'; DELETE FROM auth_user WHERE username = 'bob'; SET portal.applying = 'off'"
    )
    iam(world, "SELECT portal_capture.whole('users')")
    both_loops()
    assert legacy(world, "SELECT username FROM auth_user WHERE username = 'bob'") == [("bob",)]


def test_what_cannot_be_mapped_and_was_there_before_stays_there(world: World, settings: Any, tmp_path: Path) -> None:
    teams(world, settings, tmp_path)
    legacy(world, "UPDATE people SET mail = 'no json any more' WHERE login = 'ann'")
    legacy(world, "DELETE FROM portal_capture.queue; SELECT portal_capture.whole('people')")
    both_loops()
    assert iam(world, "SELECT username FROM users ORDER BY 1") == [("ann",), ("gone",)]
    assert waits(world) == [("people", ["1"])]


@pytest.mark.parametrize("how", ["a table", "one row into many"])
def test_a_row_whose_tenant_cannot_be_said_keeps_nobody_from_going_back(
    world: World, plan: Any, settings: Any, tmp_path: Path, how: str
) -> None:
    if how == "a table":
        plan(*BY_TEXT)
        organizations(world, ONE, TWO)
        users(world, "ann", organization="1")
        users(world, "bob", organization="2")
        added = "UPDATE auth_user SET organization = 'z' WHERE username = 'ann'"
    else:
        whose = "('5f0c0000-0000-4000-8000-00000000000' || org)::uuid"
        head, _, rest = CAPTURED.partition('[[tables]]\nsource = "people"')
        text = head.split("[[tables]]")[0] + '[[tables]]\nsource = "people"' + rest.replace('"team"', f'"{whose}"')
        text = text.replace('team = "tenant_id"', 'org = "right(tenant_id::text, 1)"')
        legacy(world, BY_ORG)
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(text)
        for id in (ONE, TWO):
            iam(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, %s, %s)", id, id[-4:], id[-4:])
        added = "INSERT INTO people (org, login, roles) VALUES ('z', 'odd', 'user')"
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    sync_tenants()
    both_loops()
    assert moved(TWO).error == ""
    legacy(world, added)
    both_loops()
    for _ in range(7):
        hold_still(world)
    builders.decided()
    assert moved(TWO, "legacy").error == ""
    both_loops()
    follow_up.resume()
    assert not Cutover.objects.filter(state="done", followed_up_at=None).exists()


def test_a_role_that_the_iam_gave_keeps_its_tenant_from_nothing(world: World, settings: Any, tmp_path: Path) -> None:
    legacy(world, ROLES_IN_A_COLUMN)
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(CAPTURED)
    run = builders.migrated(world, capture=True)
    builders.decided()
    sync_tenants()
    [(tenant,)] = legacy(world, "SELECT id::text FROM teams")
    both_loops()
    assert moved(tenant).error == ""
    iam(world, "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
               " WHERE username = 'bob' AND r.name = 'admin'")  # fmt: skip
    assert moved(tenant, "legacy").error == ""
    both_loops()
    verify(run, by="tester")
    builders.finish(run)
    assert report(Run.objects.get()).passed and not Finding.objects.exists()
    assert moved(tenant).error == ""


def numbered(world: World, plan: Any, databases_left: list[str]) -> Any:
    """A restored backup of legacy, since which somebody was born in the IAM and was given a number."""
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    made = restored(world, databases_left)
    assert moved(TWO).error == ""
    born(world, TWO, "zoe")
    both_loops()
    return made


def test_a_number_that_was_given_since_a_backup_stays_given_when_it_is_restored(
    world: World, plan: Any, backups: Path, databases_left: list[str]
) -> None:
    made = numbered(world, plan, databases_left)
    swapped(made, databases_left)
    users(world, "cem")  # legacy's sequence, too, is as it was at the backup
    both_loops()
    assert legacy(world, "SELECT id, username FROM auth_user ORDER BY 1")[2:] == [(3, "zoe"), (4, "cem")]
    assert moved(TWO, "legacy").error == ""
    both_loops()
    assert differences(world) == set()
    legacy(world, "UPDATE auth_user SET full_name = 'Later' WHERE username = 'zoe'")
    both_loops()
    assert iam(world, "SELECT full_name FROM users WHERE username = 'zoe'") == [("Later",)]


def test_unless_legacy_gave_it_to_another(
    world: World, plan: Any, backups: Path, databases_left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = numbered(world, plan, databases_left)
    real = swap.look_at_all
    monkeypatch.setattr(swap, "look_at_all", lambda plan: (users(world, "cem"), real(plan)))
    swapped(made, databases_left)
    both_loops()
    assert legacy(world, "SELECT id, username FROM auth_user ORDER BY 1")[2:] == [(3, "cem"), (4, "zoe")]
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET full_name = 'Zoe again' WHERE username = 'zoe'")
    both_loops()
    assert legacy(world, "SELECT id, full_name FROM auth_user WHERE username = 'zoe'") == [(4, "Zoe again")]
    for tenant in (ONE, TWO):
        assert moved(tenant, "legacy").error == ""
    both_loops()
    assert differences(world) == set()


def test_what_was_written_since_a_backup_is_listed_beside_a_row_whose_tenant_cannot_be_said(
    world: World, plan: Any, backups: Path, databases_left: list[str]
) -> None:
    odd(world, plan)
    made = restored(world, databases_left)
    legacy(world, "UPDATE auth_user SET full_name = 'Since' WHERE username IN ('ann', 'odd')")
    swapped(made, databases_left)
    asked = reconcile.list_since(made, by="tester")
    reconcile.perform(asked)
    asked.refresh_from_db()
    assert asked.error == ""
    assert sorted(made.written.values_list("tenant", "changed")) == [("", 1), (ONE, 1)]


def test_an_inventory_is_taken_beside_a_row_that_cannot_be_mapped(world: World, plan: Any) -> None:
    odd(world, plan)
    call_command("portal", "inventory", stdout=io.StringIO())


def test_and_people_are_found(world: World, settings: Any, tmp_path: Path) -> None:
    teams(world, settings, tmp_path)
    found, trouble = find("bob")
    assert trouble == [] and [(each.id, each.side) for each in found] == [("2", "legacy")]
    with open_transfer(Run.objects.get(), "test") as transfer:
        bolt = TenantHome.objects.get(pk=team(world, "bolt"))
        assert people.legacy_key(transfer, transfer.plan.find("users"), bolt, "ann") == ["1"]
        assert people.legacy_key(transfer, transfer.plan.find("users"), bolt, "nobody") is None


@pytest.mark.parametrize("text", [APART, ONE_TABLE], ids=["key of two columns", "id by an expression"])
def test_a_person_has_one_page_whatever_legacy_knows_them_by(
    world: World, settings: Any, tmp_path: Path, text: str
) -> None:
    legacy(world, STAFF)
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)
    builders.migrated(world)
    [(id,)] = iam(world, "SELECT id::text FROM users WHERE username = 'ann'")
    found, trouble = find("ann")
    assert trouble == [] and [each.id for each in found] == [id]
    made = person(id)
    assert made.trouble == [] and all(field["same"] for field in made.fields) and made.fields
    assert browser("support").get(f"/admin/support/{id}/").status_code == 200


def test_a_persons_page_shows_no_stray_write_of_somebody_else(world: World, settings: Any, tmp_path: Path) -> None:
    teams(world, settings, tmp_path)
    builders.decided()
    assert moved(team(world, "acme")).error == ""
    legacy(world, "UPDATE teams SET title = 'Astray' WHERE id = 1")
    both_loops()
    [(ann,)] = iam(world, "SELECT id::text FROM users WHERE username = 'ann'")
    assert person(ann).strays == []


def test_a_rehearsal_writes_to_tables_whose_key_only_the_server_writes(world: World, plan: Any) -> None:
    plan()
    legacy(world, "ALTER TABLE auth_user ALTER id SET GENERATED ALWAYS")
    organizations(world, ONE)
    users(world, "ann", "bob")
    assert moves.catch_up(migrated(world))["entries"] == 2


def test_the_users_of_a_partitioned_table_are_exported(world: World, plan: Any, backups: Path) -> None:
    plan()
    legacy(world, "DROP TABLE auth_user")
    text = (
        Path("examples/01_one_organization/legacy.sql")
        .read_text(encoding="utf-8")
        .replace("NOT NULL UNIQUE", "NOT NULL")
    )
    legacy(world, text.rstrip().rstrip(";") + " PARTITION BY RANGE (id)")
    legacy(world, "CREATE TABLE auth_user_1 PARTITION OF auth_user DEFAULT")
    users(world, "ann", "bob")
    assert backed_up("legacy").manifest["users"] == 2


def test_a_rehearsal_counts_and_writes_to_all_that_a_view_is_made_of(
    world: World, settings: Any, tmp_path: Path, backups: Path
) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "DELETE FROM staff")
    made = backed_up("legacy")
    legacy(world, "INSERT INTO customers (firm, mail, password)"
                  " SELECT firm, 'n' || n || mail, 'x' FROM customers, generate_series(1, 5) AS n")  # fmt: skip
    legacy(world, "VACUUM FULL staff")
    legacy(world, "ANALYZE")
    assert production(made)["growth"]["users"] == pytest.approx(6, rel=0.05)
    assert moves.catch_up(begun(world))["entries"] == 3000
