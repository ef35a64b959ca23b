"""What a stranger tried with other schemas: roles, values that say nothing, types, ids, whole tables, the way back into several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from migration_portal.cutover import guard
from migration_portal.cutover.models import Stray
from migration_portal.engine.errors import describe
from migration_portal.inventory.preflight import preflight
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import BY_ORGANIZATION, ONE, TWO, migrated, org, organizations, person, unlike, users
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.world import World

REFUSED = "at home on the other system"

NUMBER = 'id = { number = "id" }'


def findings(about: str) -> list[tuple[str, str, str]]:
    return [(f["severity"], f["subject"], f["what"]) for f in preflight()["findings"] if about in f["subject"]]


def as_app(world: World, statement: str, *arguments: Any, before: str = "") -> None:
    """A role that may write credentials and nothing else."""
    with world.legacy() as session:
        session.execute("DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        session.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON credentials TO app")
        session.execute(before or "SELECT 1")
        session.execute("SET ROLE app")
        session.execute(statement, arguments)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "GRANT SELECT ON people TO app; ALTER TABLE people ENABLE ROW LEVEL SECURITY",
        "SET search_path TO pg_catalog",
    ],
)
def test_the_guard_knows_whose_a_row_is_though_the_writer_may_not(world: World, joined: Any, before: str) -> None:
    joined()
    ann = person(world, "ann")
    migrated(world)
    guard.switch(on=True, by="tester")
    assert moved(org(world, "acme")).error == ""
    with pytest.raises(psycopg.Error, match=REFUSED):
        as_app(world, "UPDATE public.credentials SET hash = 'lost' WHERE person = %s", ann, before=before)


EXPRESSION = (
    ("'5f0c0000-0000-4000-8000-000000000001'::uuid", f"coalesce(btrim(organization), '{ONE}')::uuid"),
    ('ignored = ["organization"]\n', 'lossy = ["organization"]\n'),
    ("[tables.reverse]\n", '[tables.reverse]\norganization = "tenant_id::text"\n'),
    (
        "[tables.reverse]",
        f"[tables.reject]\nodd = {{ uuid = \"coalesce(btrim(organization), '{ONE}')\" }}\n\n[tables.reverse]",
    ),
)


def test_a_value_that_says_nothing_does_not_open_the_guard(world: World, plan: Any) -> None:
    plan(*EXPRESSION)
    legacy(world, "ALTER TABLE auth_user ALTER organization TYPE varchar(64)")
    organizations(world, ONE, TWO)
    users(world, "ann", organization=TWO)
    users(world, "bob")
    migrated(world)
    guard.switch(on=True, by="tester")
    assert moved(TWO).error == ""
    with pytest.raises(psycopg.Error, match=REFUSED):
        legacy(world, "UPDATE auth_user SET organization = 'garbage' WHERE username = 'ann'")
    legacy(world, "UPDATE auth_user SET organization = 'garbage' WHERE username = 'bob'")


@pytest.mark.parametrize("rule", [True, False])
def test_a_row_whose_tenant_cannot_be_said_keeps_nobody_else_in_legacy(world: World, plan: Any, rule: bool) -> None:
    plan(*EXPRESSION[: 4 if rule else 3])
    legacy(world, "ALTER TABLE auth_user ALTER organization TYPE varchar(64)")
    organizations(world, ONE, TWO)
    users(world, "ann", organization=TWO)
    users(world, "odd", organization="garbage")
    migrated(world)
    builders.decided()
    assert moved(TWO).error == ""


def test_a_tenant_that_is_looked_up_in_a_table_is_refused(world: World, joined: Any) -> None:
    joined(('tenant_id = "org"', 'tenant_id = "(SELECT o.id FROM orgs AS o WHERE o.id = people.org)"'))
    person(world, "ann")
    run = builders.migrated(world, capture=True)
    [(error,)] = iam(world, "SELECT error FROM portal_ledger.chunks WHERE error <> ''")
    assert run.state == "failed" and "Whose its rows are is looked up in orgs" in error


@pytest.mark.parametrize("of", ["auth_user", "other.auth_user"])
def test_other_rows_and_tables_of_the_same_name_are_seen(world: World, plan: Any, of: str) -> None:
    plan(('full_name = "full_name"', f'full_name = "(SELECT max(x.full_name) FROM {of} AS x)"'))
    legacy(world, "CREATE SCHEMA other; CREATE TABLE other.auth_user (full_name text)")
    organizations(world, ONE)
    assert builders.migrated(world, capture=True).state == "failed"
    assert f"read {of}," in iam(world, "SELECT error FROM portal_ledger.chunks WHERE error <> ''")[0][0]


@pytest.mark.parametrize(
    ("kind", "value", "new", "there", "back"),
    [("char(2)", "DE", "FR", "country", "bio"), ("bit(4)", "1010", "0101", "country::text", "bio::varbit"),
     ("numeric(10,2)", "1.50", "2.50", "country::text", "bio::numeric"),
     ("json", '{"a":  1}', '{"a":  2}', "country::text", "bio::json"),
     ("text[]", "{a,b}", "{c,d}", "country::text", "bio::text[]")],
)  # fmt: skip
def test_values_of_every_type_come_back(
    world: World, plan: Any, kind: str, value: str, new: str, there: str, back: str
) -> None:
    legacy(world, f"ALTER TABLE auth_user ADD country {kind}")
    plan(
        ('created_at = "date_joined"', f'created_at = "date_joined"\nbio = "{there}"'),
        ('date_joined = "created_at"', f'date_joined = "created_at"\ncountry = "{back}"'),
    )
    organizations(world, ONE)
    users(world, "ann", "bob")
    legacy(world, f"UPDATE auth_user SET country = '{value}'")
    assert findings("country") == []
    migrated(world)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET full_name = 'x' WHERE username = 'ann'")
    iam(world, "UPDATE users SET bio = %s WHERE username = 'bob'", new)
    both_loops()
    assert legacy(world, "SELECT country::text FROM auth_user ORDER BY username") == [(value,), (new,)]
    assert moved(ONE, "legacy").error == ""


HEX = f"""
name = "hex"
[[tables]]
source = "members"
target = "users"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id::uuid"
tenant_id = "'{ONE}'::uuid"
username = "login"
hashed_password = "'x'"
[tables.reverse]
id = "id::text"
login = "username"
"""


def test_ids_that_would_come_back_as_others_keep_their_tenant_in_legacy(
    world: World, settings: Any, tmp_path: Path
) -> None:
    legacy(world, "CREATE TABLE members (id text PRIMARY KEY, login text NOT NULL)")
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(HEX)
    organizations(world, ONE)
    legacy(world, "INSERT INTO members SELECT replace(gen_random_uuid()::text, '-', ''), 'ann'")
    [(severity, _, what)] = findings("members.id")
    assert severity == "error" and "in 1 of 1 rows" in what
    migrated(world)
    assert "members.id would come back as something else" in moved(ONE).error


def test_numbers_that_the_iam_would_know_nobody_by_are_told(world: World, plan: Any) -> None:
    there = "('00000000-0000-4000-8000-' || lpad(to_hex(id), 12, '0'))::uuid"
    back = "('x' || right(id::text, 8))::bit(32)::integer"
    plan((f"{NUMBER}\ntenant", f'id = "{there}"\ntenant'), (f"{NUMBER}\nusername", f'id = "{back}"\nusername'))
    users(world, "ann")
    assert ("warning", "auth_user") in [found[:2] for found in findings("auth_user")]


@pytest.mark.parametrize("how", ["truncate", "brake"])
def test_what_is_astray_in_a_whole_table_is_listed_under_legacys_key(world: World, plan: Any, how: str) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    [(number,)] = legacy(world, "SELECT id::text FROM auth_user WHERE username = 'bob'")
    migrated(world)
    assert moved(TWO).error == ""
    both_loops()
    if how == "truncate":
        legacy(world, "TRUNCATE auth_user")
    else:
        legacy(world, "UPDATE portal_capture.brake SET upto = 0")
        legacy(world, "UPDATE auth_user SET full_name = 'astray'")
    users(world, "cem")
    both_loops()
    both_loops()
    assert Stray.objects.get().key == [number]
    assert iam(world, "SELECT count(*) FROM users WHERE username = 'cem'") == [(1,)] and moved(ONE).error == ""


def test_a_row_of_a_table_that_is_read_is_kept_where_the_iam_changes_nothing(world: World, joined: Any) -> None:
    joined(
        ('totp = "mfa_secret_encrypted"', 'totp = "upper(mfa_secret_encrypted)"'),
        ('ignored = ["changed"]', 'ignored = ["changed"]\nlossy = ["totp"]'),
    )
    ann = person(world, "ann")
    legacy(world, "UPDATE credentials SET totp = 'CaseMatters' WHERE person = %s", ann)
    assert [(severity, subject) for severity, subject, _ in findings("credentials.totp")] == [
        ("info", "credentials.totp")
    ]
    migrated(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "UPDATE users SET email = 'new'")
    both_loops()
    assert legacy(world, "SELECT mail, totp FROM people JOIN credentials ON person = id") == [("new", "CaseMatters")]


def test_a_row_of_a_table_that_is_read_that_would_change_keeps_its_tenant_in_legacy(world: World, joined: Any) -> None:
    joined(('totp = "mfa_secret_encrypted"', 'totp = "upper(mfa_secret_encrypted)"'))
    legacy(world, "UPDATE credentials SET totp = 'CaseMatters' WHERE person = %s", person(world, "ann"))
    person(world, "bob", "bolt")
    migrated(world)
    assert "credentials.totp would come back as something else in 1" in moved(org(world, "acme")).error
    assert moved(org(world, "bolt")).error == ""


def test_a_tenants_own_row_comes_back(world: World, joined: Any) -> None:
    joined()
    person(world, "ann")
    migrated(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "UPDATE tenants SET name = 'New' WHERE slug = 'acme'")
    iam(world, "UPDATE users SET email = 'new'")
    both_loops()
    assert legacy(world, "SELECT title FROM orgs WHERE code = 'acme'") == [("New",)] and unlike(world) == set()


def test_a_way_back_that_cannot_be_followed_keeps_everybody_in_legacy(world: World, plan: Any) -> None:
    plan((f"{NUMBER}\nusername", 'id = "length(username)"\nusername'))
    organizations(world, ONE)
    users(world, "ann")
    assert ("error", "auth_user") in [found[:2] for found in findings("auth_user")]
    migrated(world)
    assert "The reverse of auth_user cannot be followed" in moved(ONE).error


def test_errors_quote_no_values_of_rows(world: World) -> None:
    with world.legacy() as session, pytest.raises(psycopg.Error) as error:
        session.execute("SELECT 'a secret'::uuid")
    assert "secret" not in describe(error.value).what
