"""What yet another stranger tried with schemas nobody had seen: each test says in its first line what happened, and to whom."""
# ruff: noqa: E501 - SQL that stands on one line is read at once

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard
from migration_portal.cutover.models import Stray
from migration_portal.cutover.move import _Move
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from tests import builders
from tests.attack.test_links_and_keys import FEATURES, KEYS, LICENCES, add, both_loops, captured, told, use
from tests.attack.test_views import begun
from tests.cutover.moves import both_loops as loops
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import ONE, TWO, migrated, org, organizations, person, unlike
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.journeys.test_views import changed, firm
from tests.journeys.test_views import unlike as unlike_staff
from tests.world import World


def waits() -> list[Any]:
    return list(FlowStatus.objects.filter(retrying__gt=0).values_list("direction", "retrying"))


def icu(world: World) -> None:
    """Of the embedded server's build there is none: PostgreSQL 15 of the system's packages has it."""
    try:
        legacy(world, CI)
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("no ICU in this server")


CI = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


@pytest.mark.parametrize("kind", ["icu", "domain over citext", "domain over numeric"])
def test_a_link_whose_equal_values_are_written_otherwise(world: World, settings: Any, tmp_path: Any, kind: str) -> None:
    """As with citext and numeric: a foreign key holds between Ann and ANN; a change of ANN's credentials removes Ann."""
    if kind == "icu":
        icu(world)
        column, one, other, spelled = "text COLLATE ci", "Ann", "ANN", "lower(login)"
    elif "citext" in kind:
        legacy(world, "CREATE EXTENSION citext")
        legacy(world, "CREATE DOMAIN login_name AS citext")
        column, one, other, spelled = "login_name", "Ann", "ANN", "lower(login::text)"
    else:
        legacy(world, "CREATE DOMAIN number AS numeric")
        column, one, other, spelled = "number", "1", "1.0", "trim_scale(login)"
    legacy(world, f"CREATE TABLE people (realm int, login {column}, mail text, PRIMARY KEY (realm, login))")
    legacy(world, f"CREATE TABLE creds (realm int, login {column}, hash text NOT NULL, PRIMARY KEY (realm, login),"
                  " FOREIGN KEY (realm, login) REFERENCES people)")  # fmt: skip
    legacy(world, f"INSERT INTO people VALUES (1, '{one}', 'm')")
    legacy(world, f"INSERT INTO creds VALUES (1, '{other}', 'h0')")
    use(settings, tmp_path, f"""
name = "pairs"
[[tables]]
source = "people"
target = "users"
key = ["realm", "login"]
tenant = "tenant_id"
[tables.reads.creds]
link = {{ realm = "realm", login = "login" }}
[tables.columns]
id = "md5(realm || ':' || {spelled})::uuid"
tenant_id = "'{ONE}'::uuid"
username = "login"
email = "mail"
hashed_password = "(SELECT c.hash FROM creds AS c WHERE c.realm = people.realm AND c.login = people.login)"
""")  # fmt: skip
    organizations(world, ONE)
    with pytest.raises(PlanError, match="may be written otherwise"):
        captured(world)


LONG = "identity_management_system_application_user_accounts"


def test_two_tables_of_legacys_whose_names_begin_alike(world: World, settings: Any, joined: Any) -> None:
    """Names of 52 and more characters: on the way back, the temporary tables of both are one."""
    joined((
        "credentials", f"{LONG}_credentials"[:63]), ('source = "people"', f'source = "{LONG}"'), ("people.id", f"{LONG}.id"),
    )  # fmt: skip
    legacy(world, f"ALTER TABLE people RENAME TO {LONG}")
    legacy(world, f"ALTER TABLE credentials RENAME TO {LONG}_credentials")
    legacy(world, f"INSERT INTO {LONG} (login, org, mail) SELECT 'ann', id, 'm' FROM orgs WHERE code = 'acme'")
    legacy(world, f"INSERT INTO {LONG}_credentials (person, hash) SELECT id, 'h0' FROM {LONG}")
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "UPDATE users SET email = 'new', hashed_password = 'h1'")
    both_loops()
    assert told(run) == [] and waits() == []
    assert legacy(world, f"SELECT mail FROM {LONG}") == [("new",)]
    assert legacy(world, f"SELECT hash FROM {LONG}_credentials") == [("h1",)]
    assert moved(acme, "legacy").error == ""


def test_a_percent_sign_in_the_tenants_expression(world: World, settings: Any, joined: Any) -> None:
    """A row is rejected: whose it is, is asked with the expression and with bound parameters."""
    whose = f"(CASE WHEN mail LIKE '%@two' THEN '{TWO}' ELSE '{ONE}' END)::uuid"
    joined(
        ('tenant_id = "org"', f'tenant_id = "{whose}"'),
        ("# A row of credentials", "[tables.reject]\nodd = \"mail = 'odd'\"\n\n# A row of credentials"),
        (
            '[tables.reverse]\nid = "id"\norg = "tenant_id"',
            '[tables.reverse]\nid = "id"\norg = "(SELECT t.id FROM tenants AS t LIMIT 1)"',
        ),
    )
    organizations(world, ONE, TWO)
    person(world, "ann")
    bob = person(world, "bob")
    legacy(world, "UPDATE people SET mail = 'odd' WHERE id = %s", bob)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    sync_tenants()
    cat = person(world, "cat")
    legacy(world, "UPDATE people SET mail = 'odd' WHERE id = %s", cat)
    both_loops()
    assert QuarantinedRow.objects.filter(state="open").count() == 2


def test_a_key_of_a_nondeterministic_collation_comes_back(world: World, settings: Any, tmp_path: Any) -> None:
    """All text in whatever case, as what came from MySQL or SQL Server has it: what the IAM writes comes back."""
    icu(world)
    legacy(
        world,
        "CREATE TABLE people (id text COLLATE ci PRIMARY KEY, login text COLLATE ci UNIQUE, mail text COLLATE ci)",
    )
    legacy(
        world, "INSERT INTO people VALUES (gen_random_uuid()::text, 'ann', 'a'), (gen_random_uuid()::text, 'bob', 'b')"
    )
    use(settings, tmp_path, f"""
name = "ci"
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id::uuid"
tenant_id = "'{ONE}'::uuid"
username = "login"
email = "mail"
hashed_password = "'x'"
[tables.reverse]
id = "id::text"
login = "username"
mail = "email"
""")  # fmt: skip
    organizations(world, ONE)
    run = captured(world)
    assert told(run) == []
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET email = 'new' || username")
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    assert told(run) == [] and waits() == []
    assert legacy(world, "SELECT mail FROM people") == [("newbob",)]
    assert moved(ONE, "legacy").error == ""


HELD = (
    LICENCES.replace('ignored = ["buyer"]', 'ignored = ["seat"]').replace(
        'license_key = "key"\n[', 'license_key = "key"\nlicense_secret = "buyer::text"\n['
    )
    + 'buyer = "license_secret::uuid"\n'
)


@pytest.mark.parametrize("whose", ["acme", "bolt"])
@pytest.mark.parametrize("rule", ["SET NULL", "SET DEFAULT"])
def test_what_legacy_empties_when_the_iam_deletes(
    world: World, settings: Any, joined: Any, whose: str, rule: str
) -> None:
    """A user is deleted in the IAM. In legacy a licence refers to her ON DELETE SET NULL: nobody captures that it loses its buyer."""
    joined()
    add(settings, HELD)
    legacy(world, KEYS.replace("CASCADE", rule).replace(", key text", ", seat int, key text"))
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(
        world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = %s", ann, whose
    )
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    there, here = (
        legacy(world, "SELECT buyer::text FROM licence_keys"),
        iam(world, "SELECT license_secret FROM licenses"),
    )
    assert there == here or told(run) or waits()


def test_what_legacy_updates_along_with_a_row(world: World, settings: Any, joined: Any) -> None:
    """A licence names its holder by login, ON UPDATE CASCADE. The IAM changes the user name; bolt's licence changes in legacy."""
    joined()
    add(settings, HELD.replace("buyer::text", "buyer").replace("license_secret::uuid", "license_secret"))
    legacy(world, "CREATE TABLE licence_keys (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org uuid NOT NULL REFERENCES orgs,"
                  " buyer text REFERENCES people (login) ON UPDATE CASCADE, seat int, key text NOT NULL)")  # fmt: skip
    person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, 'ann' FROM orgs WHERE code = 'bolt'")
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "UPDATE users SET username = 'anna' WHERE username = 'ann'")
    both_loops()
    there, here = legacy(world, "SELECT buyer FROM licence_keys"), iam(world, "SELECT license_secret FROM licenses")
    assert there == here or told(run) or waits()


def test_a_foreign_key_to_the_own_table_holds_for_what_comes_back(world: World, settings: Any, joined: Any) -> None:
    """Legacy has a trigger of its own on people: our writes pass over its triggers, and over the foreign key to people's boss."""
    joined(
        ('target = "users"\n', 'target = "users"\nignored = ["changed"]\n'),
        ('is_active = "active"\n', 'is_active = "active"\nbio = "boss::text"\n'),
        ('active = "is_active"', 'active = "is_active"\nboss = "bio::uuid"'),
    )
    legacy(world, "ALTER TABLE people ADD changed timestamptz, ADD boss uuid REFERENCES people")
    legacy(world, "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
                  " 'BEGIN NEW.changed := now(); RETURN NEW; END'")  # fmt: skip
    legacy(world, "CREATE TRIGGER stamp BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION stamp()")
    person(world, "ann")
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "UPDATE users SET bio = %s WHERE username = 'ann'", ONE)
    both_loops()
    dangling = legacy(world, "SELECT boss FROM people WHERE boss NOT IN (SELECT id FROM people)")
    assert dangling == [] or told(run) or waits()


@pytest.mark.parametrize("which", ["primary key", "link"])
def test_a_deferrable_key(world: World, settings: Any, joined: Any, which: str) -> None:
    """ON CONFLICT takes no deferrable constraint: nothing comes back, of any table, once a tenant has moved."""
    joined()
    if which == "link":
        legacy(world, "ALTER TABLE credentials DROP CONSTRAINT credentials_person_key")
        legacy(world, "ALTER TABLE credentials ADD UNIQUE (person) DEFERRABLE INITIALLY DEFERRED")
    else:
        legacy(world, "ALTER TABLE credentials DROP CONSTRAINT credentials_person_fkey")
        legacy(world, "ALTER TABLE people DROP CONSTRAINT people_pkey")
        legacy(world, "ALTER TABLE people ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED")
    person(world, "ann")
    try:
        begun(world)
    except PlanError:
        return
    acme = org(world, "acme")
    if moved(acme).error:
        return
    iam(world, "UPDATE users SET email = 'new', hashed_password = 'h1'")
    both_loops()
    assert list(FlowStatus.objects.exclude(error="").values_list("direction", "error")) == []
    assert unlike(world) == set()


@pytest.mark.parametrize("kind", ["GENERATED ALWAYS AS IDENTITY", "GENERATED ALWAYS AS (length(login)) STORED"])
def test_a_column_that_nobody_may_write(world: World, settings: Any, joined: Any, kind: str) -> None:
    """The reverse section fills it: told before a tenant moves, or else nothing comes back."""
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nbio = "num::text"\n'),
        ('active = "is_active"', 'active = "is_active"\nnum = "coalesce(bio, \'9\')::bigint"'),
    )
    legacy(world, f"ALTER TABLE people ADD num bigint {kind}")
    person(world, "ann")
    try:
        begun(world)
    except PlanError:
        return
    acme = org(world, "acme")
    if moved(acme).error:
        return
    iam(world, "UPDATE users SET email = 'new', hashed_password = 'h1'")
    both_loops()
    assert list(FlowStatus.objects.exclude(error="").values_list("direction", "error")) == []
    assert unlike(world) == set()


def test_what_legacy_takes_along_by_way_of_a_table_that_is_not_in_the_plan(
    world: World, settings: Any, joined: Any
) -> None:
    """people <- seats (not migrated) <- licence_keys, both ON DELETE CASCADE: bolt's licence goes with acme's Ann, and nobody says so."""
    joined()
    add(settings, LICENCES)
    legacy(
        world,
        "CREATE TABLE seats (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), person uuid REFERENCES people ON DELETE CASCADE)",
    )
    legacy(world, KEYS.replace("REFERENCES people", "REFERENCES seats"))
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    [(seat,)] = legacy(world, "INSERT INTO seats (person) VALUES (%s) RETURNING id", ann)
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = 'bolt'", seat)
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    there, here = legacy(world, "SELECT id FROM licence_keys"), iam(world, "SELECT id FROM licenses")
    assert there == here or told(run) or waits()


GRANTED = """
[[tables]]
source = "grants"
target = "licenses"
key = ["id"]
tenant_through = { users = "license_secret" }
[tables.columns]
id = "id"
license_secret = "person"
license_key = "role"
"""


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("kind", ["insert", "delete"])
def test_a_child_with_an_id_of_its_own_written_before_its_parent_came(
    world: World, settings: Any, joined: Any, monkeypatch: pytest.MonkeyPatch, guarded: bool, kind: str
) -> None:
    """As the test of its parent's, but the child's key does not say the parent: of a deleted one nothing leads to it."""
    joined()
    iam(world, "CREATE TABLE grants (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES users, role text)")
    add(
        settings,
        GRANTED.replace("licenses", "grants").replace("license_secret", "user_id").replace("license_key", "role")
        + '[tables.reverse]\nid = "id"\nperson = "user_id"\nrole = "role"\n',
    )
    legacy(world, "CREATE TABLE grants (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),"
                  " person uuid NOT NULL REFERENCES people ON DELETE CASCADE, role text NOT NULL)")  # fmt: skip
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    if kind == "delete":
        legacy(world, "INSERT INTO grants (person, role) VALUES (%s, 'user')", ann)
    begun(world, guarded=guarded)
    real = _Move.prepare

    def prepare(self: Any) -> bool:
        found = real(self)
        if kind == "insert":
            legacy(world, "INSERT INTO grants (person, role) VALUES (%s, 'user')", ann)
        else:
            legacy(world, "DELETE FROM grants WHERE person = %s", ann)
        legacy(world, "UPDATE people SET org = (SELECT id FROM orgs WHERE code = 'bolt') WHERE id = %s", ann)
        return found

    monkeypatch.setattr(_Move, "prepare", prepare)
    done = moved(org(world, "bolt"))
    monkeypatch.undo()
    assert done.state == "done" or done.error
    both_loops()
    there, here = legacy(world, "SELECT role FROM grants"), iam(world, "SELECT role FROM grants")
    assert done.error or there == here or Stray.objects.exists()


WORDY = """
name = "wordy"
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "{id}"
tenant_id = "'5f0c0000-0000-4000-8000-000000000001'::uuid"
username = "login"
email = "\\"user\\""
hashed_password = "'x'"
"""


@pytest.mark.parametrize(
    "id",
    ["md5('user:' || id)::uuid", "md5(ID::text)::uuid",
     "of a column called uuid"],
)  # fmt: skip
def test_a_key_that_does_follow_from_legacys_is_not_refused(
    world: World, settings: Any, tmp_path: Any, id: str
) -> None:
    """A literal that says a word which is also a column's name; a column in capitals; one called like a type."""
    legacy(world, 'CREATE TABLE people (id int PRIMARY KEY, login text NOT NULL, "user" text)')
    legacy(world, "INSERT INTO people VALUES (1, 'ann', 'a'), (2, 'bob', 'b')")
    if "called" in id:
        id = "md5(id::text)::uuid"
        legacy(world, "ALTER TABLE people ADD uuid text")
    use(settings, tmp_path, WORDY.replace("{id}", id))
    organizations(world, ONE)
    captured(world)
    legacy(world, "DELETE FROM people WHERE id = 1")
    both_loops()
    assert iam(world, "SELECT username FROM users") == [("bob",)]


def test_a_key_of_a_column_in_capitals_that_is_not_of_legacys_key_is_refused(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """The key is made of LOGIN, too, which of a row that is gone nobody knows: catch-up of all tables ends."""
    legacy(world, 'CREATE TABLE people (id int PRIMARY KEY, login text NOT NULL, "user" text)')
    legacy(world, "INSERT INTO people VALUES (1, 'ann', 'a'), (2, 'bob', 'b')")
    use(settings, tmp_path, WORDY.replace("{id}", "md5(id || LOGIN)::uuid"))
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    if run.state == "failed":
        return
    sync_tenants()
    both_loops()
    legacy(world, "DELETE FROM people WHERE id = 1")
    both_loops()
    assert told(run) == []


def test_a_second_plan_of_the_same_name(world: World, settings: Any, tmp_path: Any, joined: Any) -> None:
    """People by one file, licences by another, both called the same: what is captured of people is thrown away."""
    joined()
    legacy(world, KEYS)
    person(world, "ann")
    begun(world)
    use(settings, tmp_path, 'name = "people_and_credentials"\n' + LICENCES, "other.toml")
    try:
        run = builders.migrated(world, capture=True)
    except Refusal:
        return
    sync_tenants()
    legacy(world, "UPDATE people SET mail = 'new'")
    both_loops()
    assert iam(world, "SELECT email FROM users") == [("new",)] or told(run)


NAMED = """
name = "named"
source_schema = %(schema)s
[[tables]]
source = %(orgs)s
target = "tenants"
key = [%(id)s]
tenant = "id"
[tables.columns]
id = %(_id)s
name = %(_title)s
slug = %(_title)s
[tables.reverse]
%(id)s = "id"
%(title)s = "name"
[[tables]]
source = %(people)s
target = "users"
key = [%(id)s]
tenant = "tenant_id"
[tables.reads.%(creds)s]
link = { %(person)s = %(id)s }
[tables.reads.%(creds)s.reverse]
%(person)s = "id"
%(hash)s = "hashed_password"
[tables.columns]
id = %(_id)s
tenant_id = %(_org)s
username = %(_login)s
email = %(_mail)s
hashed_password = %(_read)s
[tables.reject]
odd = %(_odd)s
[tables.reverse]
%(id)s = "id"
%(org)s = "tenant_id"
%(login)s = "username"
%(mail)s = "email"
"""


@pytest.mark.parametrize(
    "odd",
    ["all: A b", "rule: A b"] + [f"but the keys: {odd}" for odd in ("A b", "{}", "'", "$1", "é", "\\")],
)
def test_names_that_need_quotes(world: World, settings: Any, tmp_path: Any, odd: str) -> None:
    """A schema, tables and columns whose names have capitals, blanks, percent signs or quotes in them: there and back."""

    def toml(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    where, odd = odd.split(": ")
    names = {
        n: f"{n} {odd}" if where == "all" or n not in ("id", "person", "org") else n.capitalize()
        for n in ("schema", "orgs", "id", "title", "people", "creds", "person", "hash", "org", "login", "mail")
    }
    q = {n: '"' + made.replace('"', '""') + '"' for n, made in names.items()}
    read = f"(SELECT c.{q['hash']} FROM {q['creds']} AS c WHERE c.{q['person']} = {q['people']}.{q['id']})"
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(NAMED % (
        {n: toml(made) for n, made in names.items()} | {f"_{n}": toml(made) for n, made in q.items()}
        | {"_read": toml(read), "_odd": toml(f"{q['mail'] if where == 'rule' else q['id'] + '::text'} = 'odd'")}))  # fmt: skip
    with world.legacy() as session:
        session.execute(f"CREATE SCHEMA {q['schema']}")
        session.execute(f"SET search_path TO {q['schema']}")
        session.execute(f"CREATE TABLE {q['orgs']} ({q['id']} uuid PRIMARY KEY, {q['title']} text NOT NULL)")
        session.execute(f"CREATE TABLE {q['people']} ({q['id']} uuid PRIMARY KEY DEFAULT gen_random_uuid(), {q['org']} uuid NOT NULL"
                        f" REFERENCES {q['orgs']}, {q['login']} text NOT NULL, {q['mail']} text)")  # fmt: skip
        session.execute(
            f"CREATE TABLE {q['creds']} ({q['person']} uuid PRIMARY KEY REFERENCES {q['people']}, {q['hash']} text NOT NULL)"
        )
        session.execute(f"INSERT INTO {q['orgs']} VALUES ('{ONE}', 'one'), ('{TWO}', 'two')")
        session.execute(f"INSERT INTO {q['people']} SELECT gen_random_uuid(), '{ONE}', l, m FROM"
                        " (VALUES ('ann', 'a'), ('bob', 'odd'), ('cat', 'c')) AS v(l, m)")  # fmt: skip
        session.execute(f"INSERT INTO {q['creds']} SELECT {q['id']}, 'h0' FROM {q['people']}")
    assert [f for f in preflight()["findings"] if f["severity"] == "error"] == []
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    if where == "rule":
        builders.decided()
    sync_tenants()
    both_loops()
    with world.legacy() as session:
        session.execute(f"SET search_path TO {q['schema']}")
        session.execute(f"UPDATE {q['creds']} SET {q['hash']} = 'h1'")
        session.execute(f"UPDATE {q['people']} SET {q['mail']} = 'odd' WHERE {q['login']} = 'cat'")
        session.execute(f"UPDATE {q['people']} SET {q['mail']} = 'x' WHERE {q['login']} = 'cat'")
        session.execute(
            f"DELETE FROM {q['creds']} WHERE {q['person']} = (SELECT {q['id']} FROM {q['people']} WHERE {q['login']} = 'bob')"
        )
        session.execute(f"DELETE FROM {q['people']} WHERE {q['login']} = 'bob'")
    both_loops()
    assert iam(world, "SELECT username, email, hashed_password FROM users ORDER BY 1") == [
        ("ann", "a", "h1"),
        ("cat", "x", "h1"),
    ], told(run)
    guard.switch(on=True, by="tester")
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET email = 'b', hashed_password = 'h2' WHERE username = 'ann'")
    iam(world, "DELETE FROM users WHERE username = 'cat'")
    iam(world, "INSERT INTO users (tenant_id, username, hashed_password) VALUES (%s, 'dan', 'h3')", ONE)
    both_loops()
    with world.legacy() as session:
        session.execute(f"SET search_path TO {q['schema']}")
        there = session.execute(f"SELECT {q['login']}, {q['mail']}, {q['hash']} FROM {q['people']} AS p LEFT JOIN {q['creds']} AS c"
                                f" ON c.{q['person']} = p.{q['id']} ORDER BY 1").fetchall()  # fmt: skip
    assert there == [("ann", "b", "h2"), ("dan", None, "h3")], told(run)
    assert moved(ONE, "legacy").error == ""
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == "undone"


def test_a_rule_over_a_column_in_capitals(world: World, joined: Any) -> None:
    """SQL knows MAIL and mail as one. Pre-flight and copy are green; the first deletion in legacy ends catch-up of all tables."""
    joined(("# A row of credentials", "[tables.reject]\nodd = \"MAIL = 'odd'\"\n\n# A row of credentials"))
    ann = person(world, "ann")
    person(world, "bob")
    run = migrated(world)
    legacy(world, "DELETE FROM people WHERE id = %s", ann)
    both_loops()
    assert told(run) == [] and unlike(world) == set()


@pytest.mark.parametrize("odd", ['"', "%", "%s"])
def test_names_that_no_statement_of_ours_can_say_are_refused(world: World, joined: Any, odd: str) -> None:
    joined(('source = "people"', f"source = 'pe{odd}ople'"), ("people.id", "id"))
    named = f"pe{odd}ople".replace('"', '""')
    with world.legacy() as session:
        session.execute(f'ALTER TABLE people RENAME TO "{named}"')
    with pytest.raises(PlanError, match="a percent sign or a quotation mark"):
        start(by="tester")


BADGES = """
[[tables]]
source = "badges"
target = "badges"
key = ["id"]
[tables.columns]
id = "id"
holder = "person"
"""


def test_what_legacy_takes_along_of_a_table_that_does_not_come_back(world: World, settings: Any, joined: Any) -> None:
    """Badges are nobody's: they follow from legacy. Ann goes in the IAM, her badge in legacy (ON DELETE CASCADE), and not in the IAM."""
    joined()
    iam(world, "CREATE TABLE badges (id uuid PRIMARY KEY, holder uuid)")
    add(settings, BADGES)
    legacy(
        world,
        "CREATE TABLE badges (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), person uuid REFERENCES people ON DELETE CASCADE)",
    )
    ann = person(world, "ann")
    legacy(world, "INSERT INTO badges (person) VALUES (%s)", ann)
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    there, here = legacy(world, "SELECT id FROM badges"), iam(world, "SELECT id FROM badges")
    assert there == here or told(run) or waits()


def test_a_foreign_key_into_another_schema(world: World, settings: Any, joined: Any) -> None:
    """Legacy's people refer to hr.departments: what the IAM writes comes back all the same."""
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nbio = "department::text"\n'),
        ('active = "is_active"', 'active = "is_active"\ndepartment = "bio::int"'),
    )
    legacy(world, "CREATE SCHEMA hr")
    legacy(world, "CREATE TABLE hr.departments (id int PRIMARY KEY)")
    legacy(world, "INSERT INTO hr.departments VALUES (1), (2)")
    legacy(world, "ALTER TABLE people ADD department int REFERENCES hr.departments")
    ann = person(world, "ann")
    legacy(world, "UPDATE people SET department = 1 WHERE id = %s", ann)
    run = begun(world)
    acme = org(world, "acme")
    if moved(acme).error:
        return
    iam(world, "UPDATE users SET bio = '2'")
    both_loops()
    assert legacy(world, "SELECT department FROM people") == [(2,)], told(run)
    assert moved(acme, "legacy").error == ""


@pytest.mark.parametrize("whole", [False, True])
def test_a_foreign_key_to_a_table_of_partitions(world: World, settings: Any, joined: Any, whole: bool) -> None:
    """The server notes such a key once more a partition: each row is said to lack its parent in the others."""
    joined()
    legacy(world, "ALTER TABLE people DROP CONSTRAINT people_org_fkey")
    legacy(world, "ALTER TABLE orgs RENAME TO old_orgs")
    legacy(
        world,
        "CREATE TABLE orgs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text NOT NULL, title text NOT NULL) PARTITION BY HASH (id)",
    )
    for n in (0, 1):
        legacy(world, f"CREATE TABLE orgs_{n} PARTITION OF orgs FOR VALUES WITH (MODULUS 2, REMAINDER {n})")
    legacy(world, "INSERT INTO orgs SELECT * FROM old_orgs")
    legacy(world, "ALTER TABLE people ADD FOREIGN KEY (org) REFERENCES orgs")
    person(world, "ann")
    run = begun(world)
    assert not [f for f in preflight()["findings"] if f["severity"] == "error"]
    acme = org(world, "acme")
    assert moved(acme).error == ""
    iam(world, "UPDATE users SET email = 'new', hashed_password = 'h1'")
    both_loops()
    assert told(run) == [] and waits() == [] and unlike(world) == set()
    assert moved(acme, "legacy").error == ""


def test_a_rule_of_a_view_that_looks_into_a_table_that_nobody_watches_is_refused(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """As of a table: what the rule says by then would never arrive."""
    changed(world, settings, tmp_path, ("[tables.reads.staff]", "[tables.reject]\nbarred = \"EXISTS (SELECT FROM barred AS b"
                                        " WHERE b.id = everybody.id)\"\n\n[tables.reads.staff]"))  # fmt: skip
    legacy(world, "CREATE TABLE barred (id uuid PRIMARY KEY)")
    run = builders.migrated(world, capture=True)
    assert run.state == "failed" and "barred, whose changes would not be captured" in "".join(run.failures)


@pytest.mark.parametrize("of", ["none", "one"])
def test_an_expression_that_reads_a_table_of_partitions_is_refused(
    world: World, settings: Any, joined: Any, of: str
) -> None:
    """The server's plan names no table where it has none to read yet: later its partitions have rows, and nobody watches them."""
    where = "WHERE s.id = people.id AND s.year = 2027"
    joined(('is_active = "active"\n', f'is_active = "active"\nbio = "(SELECT s.said FROM sayings AS s {where})"\n'))
    legacy(world, "CREATE TABLE sayings (id uuid, year int, said text) PARTITION BY LIST (year)")
    if of == "one":
        legacy(world, "CREATE TABLE sayings_2026 PARTITION OF sayings FOR VALUES IN (2026)")
    ann = person(world, "ann")
    run = builders.migrated(world, capture=True)
    if run.state == "failed":
        return
    sync_tenants()
    legacy(world, "CREATE TABLE sayings_2027 PARTITION OF sayings FOR VALUES IN (2027)")
    legacy(world, "INSERT INTO sayings VALUES (%s, 2027, 'hm')", ann)
    both_loops()
    assert iam(world, "SELECT bio FROM users") == [("hm",)] or told(run)


def test_a_row_of_a_view_kept_back_that_is_made_in_the_iam_keeps_nobody_there(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """As of a table: legacy's row is kept back, is made in the IAM, both sides are the same, and the tenant can never return."""
    changed(
        world,
        settings,
        tmp_path,
        ("[tables.reads.staff]", "[tables.reject]\nodd = \"mail = 'odd'\"\n\n[tables.reads.staff]"),
    )
    [(id,)] = legacy(world, "UPDATE staff SET mail = 'odd' WHERE login = 'firm1-1' RETURNING id")
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    builders.decided()
    sync_tenants()
    both_loops()
    one = firm(world, "firm1")
    assert moved(one).error == ""
    iam(world, "INSERT INTO users (id, tenant_id, username, email, hashed_password, is_superuser, is_active)"
               " SELECT %s, %s, 'firm1-1', 'fixed', password, true, active FROM (VALUES ('x', true)) AS v(password, active)", id, one)  # fmt: skip
    both_loops()
    assert unlike_staff(world) == set() and waits() == []
    assert moved(one, "legacy").error == ""


def test_what_the_iam_takes_along_with_a_row_that_legacy_deletes(world: World, settings: Any, joined: Any) -> None:
    """The other direction: legacy deletes acme's Ann; in the IAM bolt's licence, at home there, hangs on her (ON DELETE CASCADE)."""
    joined()
    iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users ON DELETE CASCADE")
    add(
        settings,
        LICENCES.replace('ignored = ["buyer"]\n', "").replace(
            'license_key = "key"\n[', 'license_key = "key"\nholder = "buyer"\n['
        )
        + 'buyer = "holder"\n',
    )
    legacy(world, KEYS.replace("REFERENCES people ON DELETE CASCADE", ""))
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = 'bolt'", ann)
    run = begun(world)
    assert moved(org(world, "bolt")).error == ""
    legacy(world, "DELETE FROM people WHERE id = %s", ann)
    loops()
    there, here = legacy(world, "SELECT id FROM licence_keys"), iam(world, "SELECT id FROM licenses")
    assert there == here or told(run) or waits()


def test_what_one_is_told_to_do_about_a_row_that_is_referred_to_can_be_done(
    world: World, settings: Any, joined: Any
) -> None:
    """What is said to do about a login that others refer to can be done with the guard on, too."""
    joined(('target = "users"\n', 'target = "users"\nignored = ["changed"]\n'))
    legacy(
        world,
        "CREATE TABLE api_keys (id serial PRIMARY KEY, login text NOT NULL REFERENCES people (login) ON UPDATE CASCADE)",
    )
    legacy(world, "ALTER TABLE people ADD changed timestamptz")
    legacy(world, "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
                  " 'BEGIN NEW.changed := now(); RETURN NEW; END'")  # fmt: skip
    legacy(world, "CREATE TRIGGER stamp BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION stamp()")
    person(world, "ann")
    legacy(world, "INSERT INTO api_keys (login) VALUES ('ann')")
    begun(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "UPDATE users SET username = 'anna' WHERE username = 'ann'")
    both_loops()
    [(why,)] = iam(world, "SELECT DISTINCT error FROM portal_capture.queue")
    assert "change it back in the IAM" in why
    iam(world, "UPDATE users SET username = 'ann' WHERE username = 'anna'")
    both_loops()
    assert unlike(world) == set()


def test_a_failed_run_that_captured_nothing_keeps_no_other_plan_from_beginning(
    world: World, settings: Any, joined: Any
) -> None:
    """The first plan was refused before it had watched anything; its text and name are corrected."""
    joined(('tenant_id = "org"', 'tenant_id = "(SELECT o.id FROM orgs AS o WHERE o.id = people.org)"'))
    person(world, "ann")
    assert builders.migrated(world, capture=True).state == "failed"
    text = settings.MIGRATION_PLAN.read_text().replace("(SELECT o.id FROM orgs AS o WHERE o.id = people.org)", "org")
    settings.MIGRATION_PLAN.write_text(text.replace('"people_and_credentials"', '"corrected"'))
    captured(world)


def test_what_a_trigger_of_legacys_takes_along_when_the_iam_deletes(world: World, settings: Any, joined: Any) -> None:
    """Writing passes over legacy's own triggers, deleting does not: one of people's deletes licences, bolt's too, and nobody says so."""
    joined()
    add(settings, LICENCES)
    legacy(world, KEYS.replace("REFERENCES people ON DELETE CASCADE", ""))
    legacy(world, "CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS"
                  " 'BEGIN DELETE FROM licence_keys WHERE buyer = OLD.id; RETURN NULL; END'")  # fmt: skip
    legacy(world, "CREATE TRIGGER clear AFTER DELETE ON people FOR EACH ROW EXECUTE FUNCTION clear()")
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = 'bolt'", ann)
    run = begun(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "DELETE FROM users WHERE username = 'ann'")
    both_loops()
    there, here = legacy(world, "SELECT id FROM licence_keys"), iam(world, "SELECT id FROM licenses")
    assert there == here or told(run) or waits()


@pytest.mark.parametrize("kind", ["citext", "icu", "numeric"])
def test_two_keys_of_the_iam_that_are_one_in_legacy(world: World, settings: Any, joined: Any, kind: str) -> None:
    """Legacy's key is citext, with 'SSO' in it. The IAM, whose key is text, adds 'sso': it comes back over legacy's 'SSO'."""
    joined()
    add(settings, FEATURES.replace('"feature"\n', '"feature::text"\n') if kind == "numeric" else FEATURES)
    one, other = ("1", "1.0") if kind == "numeric" else ("SSO", "sso")
    if kind == "citext":
        legacy(world, "CREATE EXTENSION citext")
    elif kind == "icu":
        icu(world)
    legacy(world, "CREATE TABLE features (org uuid NOT NULL REFERENCES orgs,"
                  f" feature {'text COLLATE ci' if kind == 'icu' else kind} NOT NULL, on_ boolean NOT NULL, PRIMARY KEY (org, feature))")  # fmt: skip
    legacy(world, "INSERT INTO features SELECT id, %s, true FROM orgs WHERE code = 'acme'", one)
    person(world, "ann")
    try:
        run = begun(world)
    except PlanError:
        return
    acme = org(world, "acme")
    if moved(acme).error:
        return
    iam(
        world,
        "INSERT INTO tenant_feature_enablement (tenant_id, feature_key, enabled) VALUES (%s, %s, false)",
        acme,
        other,
    )
    both_loops()
    there = legacy(world, "SELECT on_ FROM features")
    assert there == [(True,)], "legacy's row has the other's value"
    assert told(run) or waits()


def test_a_child_deleted_in_the_iam_before_its_parent_came(
    world: World, settings: Any, joined: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back: a grant with an id of its own is deleted in the IAM, then Ann goes from acme to bolt there; bolt returns."""
    joined()
    iam(world, "CREATE TABLE grants (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES users, role text)")
    add(
        settings,
        GRANTED.replace("licenses", "grants").replace("license_secret", "user_id").replace("license_key", "role")
        + '[tables.reverse]\nid = "id"\nperson = "user_id"\nrole = "role"\n',
    )
    legacy(world, "CREATE TABLE grants (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),"
                  " person uuid NOT NULL REFERENCES people ON DELETE CASCADE, role text NOT NULL)")  # fmt: skip
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO grants (person, role) VALUES (%s, 'user')", ann)
    begun(world)
    for code in ("acme", "bolt"):
        assert moved(org(world, code)).error == ""
    both_loops()
    real = _Move.prepare

    def prepare(self: Any) -> bool:
        found = real(self)
        iam(world, "DELETE FROM grants WHERE user_id = %s", ann)
        iam(world, "UPDATE users SET tenant_id = (SELECT id FROM tenants WHERE slug = 'bolt') WHERE id = %s", ann)
        return found

    monkeypatch.setattr(_Move, "prepare", prepare)
    done = moved(org(world, "bolt"), "legacy")
    monkeypatch.undo()
    both_loops()
    there, here = legacy(world, "SELECT role FROM grants"), iam(world, "SELECT role FROM grants")
    assert done.error or there == here or Stray.objects.exists()


def test_two_tables_of_the_iam_that_come_back_into_one(world: World, settings: Any, joined: Any) -> None:
    """One source fills two targets, each with a way back: both bring theirs."""
    iam(
        world,
        "CREATE TABLE profiles (user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE, tenant_id uuid NOT NULL, phone text)",
    )
    joined()
    add(settings, """
[[tables]]
source = "people"
target = "profiles"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
user_id = "id"
tenant_id = "org"
phone = "phone"
[tables.reverse]
id = "user_id"
org = "tenant_id"
phone = "phone"
""")  # fmt: skip
    legacy(world, "ALTER TABLE people ADD phone text, ALTER login DROP NOT NULL, ALTER org DROP NOT NULL")
    person(world, "ann")
    try:
        run = begun(world)
    except PlanError:
        return
    acme = org(world, "acme")
    if moved(acme).error:
        return
    iam(world, "UPDATE users SET email = 'new', hashed_password = 'h1'")
    iam(world, "UPDATE profiles SET phone = '1'")
    [(id,)] = iam(
        world,
        "INSERT INTO users (tenant_id, username, email, hashed_password) VALUES (%s, 'bob', 'b', 'h2') RETURNING id",
        acme,
    )
    iam(world, "INSERT INTO profiles VALUES (%s, %s, '2')", id, acme)
    both_loops()
    assert legacy(world, "SELECT mail, phone FROM people ORDER BY phone") == [("new", "1"), ("b", "2")], (
        told(run) + waits()
    )
    iam(world, "DELETE FROM profiles WHERE phone = '1'")
    iam(world, "DELETE FROM users WHERE username = 'bob'")
    both_loops()
    assert legacy(world, "SELECT mail, phone FROM people ORDER BY phone") == [("new", None)], told(run) + waits()
    assert moved(acme, "legacy").error == ""
