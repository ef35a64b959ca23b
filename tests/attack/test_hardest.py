"""What yet another stranger tried: proofs that were none, spellings of uuids, rows that let go of a unique value or of a table and
get nothing for it, what hangs on a row by ON DELETE and ON UPDATE, and single rows that stop everybody.
"""

from __future__ import annotations

from typing import Any

import pytest

from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.catchup import merging
from migration_portal.runs import drift
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.undo import undo
from migration_portal.schema import apply
from tests import builders
from tests.attack.test_harder_schemas import waits
from tests.attack.test_links_and_keys import FEATURES, KEYS, LICENCES, add, both_loops, captured, told, use
from tests.attack.test_lookups import granted, of_grants, schema, write
from tests.attack.test_lookups import person as somebody
from tests.attack.test_views import begun
from tests.attack.test_yet_harder import HELD_BY, LOGINS
from tests.cutover.moves import both_loops as loops
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import ONE, org, organizations, person, unlike
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.journeys.test_foreign import roles as roles
from tests.journeys.test_views import changed, firm
from tests.servers import on_server
from tests.world import World


def refused_or_captured(world: World) -> Run | None:
    """None where the run says that two rows could be one."""
    run = builders.migrated(world, capture=True)
    if run.state == "failed":
        assert "could be one" in "".join(run.failures), run.failures
        return None
    sync_tenants()
    both_loops()
    return run


@pytest.mark.parametrize("value", ["grants.role", "(role)"])
def test_two_words_for_one_role_keep_it_however_the_plan_names_the_column(
    world: World, settings: Any, tmp_path: Any, value: str
) -> None:
    schema(world)
    text = of_grants(settings, tmp_path, words='boss = "admin", chief = "admin"')
    assert 'value = "role"' in text
    write(settings, text.replace('value = "role"', f'value = "{value}"'))
    ann = somebody(world, "ann", "boss")
    captured(world)
    for change, has in (
        ("INSERT INTO grants VALUES (%s, 'chief')", True), ("DELETE FROM grants WHERE person = %s AND role = 'chief'", True),
        ("INSERT INTO grants VALUES (%s, 'chief')", True), ("DELETE FROM grants WHERE person = %s AND role = 'boss'", True),
    ):  # fmt: skip
        legacy(world, change, ann)
        both_loops()
        assert granted(world) == ({("ann", "admin")} if has else set()), (change, list(Finding.objects.values()))


LOWER = "5f0c0000-0000-4000-8000-00000000000a"
WAYS = {
    "no hyphens": LOWER.replace("-", ""),
    "braces": "{" + LOWER + "}",
    "mixed": "5F0c0000-0000-4000-8000-00000000000a",
}


@pytest.mark.parametrize("way, rule", [*((way, "rule") for way in WAYS), ("no hyphens", "bare"), ("braces", "bare")])
def test_a_uuid_in_another_spelling_does_not_take_the_firsts_row(
    world: World, settings: Any, tmp_path: Any, way: str, rule: str
) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(world, "INSERT INTO people VALUES (%s, 'first')", WAYS[way])
    use(
        settings,
        tmp_path,
        LOGINS % ('"id"', "id::uuid") + ('[tables.reject]\nno_uuid = { uuid = "id" }\n' if rule == "rule" else ""),
    )
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    if run.state == "failed" or iam(world, "SELECT count(*) FROM users") == [(0,)]:
        return  # refused, or quarantined
    sync_tenants()
    both_loops()
    legacy(world, "INSERT INTO people VALUES (%s, 'second')", LOWER)
    both_loops()
    legacy(world, "UPDATE people SET mail = 'third' WHERE id = %s", LOWER)
    both_loops()
    seen = iam(world, "SELECT email FROM users"), told(run)
    legacy(world, "DELETE FROM people WHERE id = %s", LOWER)
    both_loops()
    assert iam(world, "SELECT email FROM users") == [("first",)], (seen, told(run))


def test_a_composite_key_of_two_uuids_both_in_capitals_does_not_take_the_firsts_row(
    world: World, settings: Any, tmp_path: Any
) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(
        world, "CREATE TABLE grants (person text NOT NULL, role text NOT NULL, note text, PRIMARY KEY (person, role))"
    )
    legacy(world, "INSERT INTO people VALUES (%s, 'ann')", LOWER)
    organizations(world, ONE)
    [(role,)] = iam(
        world,
        "INSERT INTO roles (id, name) VALUES ('abcdef00-0000-4000-8000-00000000000b', 'helper') RETURNING id::text",
    )
    use(
        settings,
        tmp_path,
        LOGINS % ('"id"', "id::uuid")
        + """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
ignored = ["note"]
[tables.columns]
user_id = "person::uuid"
role_id = "role::uuid"
[tables.reject]
p = { uuid = "person" }
r = { uuid = "role" }
""",
    )
    legacy(world, "INSERT INTO grants VALUES (%s, %s, 'a')", LOWER, role)
    run = refused_or_captured(world)
    if run is None:
        return
    legacy(world, "INSERT INTO grants VALUES (%s, %s, 'b')", LOWER.upper(), role.upper())
    both_loops()
    legacy(world, "DELETE FROM grants WHERE note = 'b'")
    both_loops()
    assert iam(world, "SELECT count(*) FROM user_roles") == [(1,)], told(run)


WRONG = {  # sql -> (key, first, second)
    "md5(concat_ws(realm, login))::uuid": ("realm text, login text", "'a', 'x'", "'b', 'x'"),
    "md5(concat_ws(':', 'users', realm || login))::uuid": ("realm text, login text", "'ab', 'c'", "'a', 'bc'"),
    "md5(realm || ':' || login)::uuid": ("realm text, login text", "'a:b', 'c'", "'a', 'b:c'"),
    "lpad(id::text, 32, '1')::uuid": ("id bigint", "1", "11"),
    "md5(lpad('user-' || id::text, 12, '0'))::uuid": ("id integer", "12345678", "12345679"),
    "md5(to_hex(realm) || 'a' || to_hex(id))::uuid": ("realm integer, id integer", "1, 161", "26, 1"),
}


@pytest.mark.parametrize("sql", WRONG)
def test_what_makes_one_key_of_two_is_not_taken_for_a_proof(
    world: World, settings: Any, tmp_path: Any, sql: str
) -> None:
    key, first, second = WRONG[sql]
    names = [each.split()[0] for each in key.split(", ")]
    legacy(world, f"CREATE TABLE people ({key}, mail text, PRIMARY KEY ({', '.join(names)}))")
    legacy(world, f"INSERT INTO people VALUES ({first}, 'first')")
    use(settings, tmp_path, LOGINS % (", ".join(f'"{name}"' for name in names), sql))
    organizations(world, ONE)
    run = refused_or_captured(world)
    if run is None:
        return
    legacy(world, f"INSERT INTO people VALUES ({second}, 'second')")
    both_loops()
    seen = iam(world, "SELECT email FROM users"), told(run)
    legacy(world, "DELETE FROM people WHERE mail = 'second'")
    both_loops()
    assert iam(world, "SELECT email FROM users") == [("first",)], (seen, told(run))


def test_a_row_born_in_the_iam_alone_follows_when_the_iam_changes_it_and_goes(
    world: World, settings: Any, joined: Any
) -> None:
    """Legacy has features in small letters, as the plan says; another of the IAM's could have the row, but there is none."""
    joined()
    add(settings, FEATURES.replace('feature = "feature_key"', 'feature = "lower(feature_key)"'))
    table = "CREATE TABLE features (org uuid NOT NULL REFERENCES orgs, feature text NOT NULL, on_ boolean NOT NULL"
    legacy(world, f"{table}, PRIMARY KEY (org, feature))")
    person(world, "ann")
    begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    born = "INSERT INTO tenant_feature_enablement (tenant_id, feature_key, enabled) VALUES (%s, 'SSO', false)"
    for change, about, left in (
        (born, [acme], [("sso", False)]),
        ("UPDATE tenant_feature_enablement SET enabled = true", [], [("sso", True)]),
        ("DELETE FROM tenant_feature_enablement", [], []),
    ):
        iam(world, change, *about)
        both_loops()
        assert legacy(world, "SELECT feature, on_ FROM features") == left


@pytest.mark.parametrize("rule", ["SET NULL", "SET DEFAULT"])
def test_who_moves_between_legacys_tables_empties_nobody_elses_reference(
    world: World, settings: Any, tmp_path: Any, rule: str
) -> None:
    changed(world, settings, tmp_path, ('ignored = ["since"]', 'ignored = ["since", "manager"]'))
    legacy(world, f"ALTER TABLE customers ADD manager uuid REFERENCES staff ON DELETE {rule}")
    legacy(world, "UPDATE customers SET manager = (SELECT id FROM staff WHERE login = 'firm1-1')"
                  " WHERE firm = (SELECT id FROM firms WHERE code = 'firm2')")  # fmt: skip
    count = "SELECT count(*) FROM customers WHERE manager IS NOT NULL"
    before = legacy(world, count)
    run = begun(world)
    assert moved(firm(world, "firm1")).error == ""
    iam(world, "UPDATE users SET is_superuser = false, email = 'firm1-1@moved.example.org' WHERE username = 'firm1-1'")
    both_loops()
    assert legacy(world, count) == before or told(run) or waits(), (before, legacy(world, count))


@pytest.mark.parametrize("by", ["a pair", "a generated column"])
def test_a_changed_login_changes_nobody_elses_rows_by_columns_that_are_not_mapped(
    world: World, settings: Any, joined: Any, by: str
) -> None:
    if by == "a pair":
        joined(('secret = ["hash"', 'ignored = ["realm"]\nsecret = ["hash"'))
        legacy(world, "ALTER TABLE people ADD realm int NOT NULL DEFAULT 1, ADD UNIQUE (realm, login)")
        fk = (
            "realm int NOT NULL DEFAULT 1, buyer text,"
            " FOREIGN KEY (realm, buyer) REFERENCES people (realm, login) ON UPDATE CASCADE"
        )
        more = ', "realm"'
    else:
        joined(('secret = ["hash"', 'ignored = ["small"]\nsecret = ["hash"'))
        legacy(world, "ALTER TABLE people ADD small text GENERATED ALWAYS AS (lower(login)) STORED UNIQUE")
        fk, more = "buyer text REFERENCES people (small) ON UPDATE CASCADE", ""
    add(settings, LICENCES.replace('"buyer"', '"buyer"' + more))
    legacy(world, KEYS.replace("buyer uuid REFERENCES people ON DELETE CASCADE", fk))
    person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, 'ann' FROM orgs WHERE code = 'bolt'")
    run = begun(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "UPDATE users SET username = 'anna' WHERE username = 'ann'")
    both_loops()
    assert legacy(world, "SELECT buyer FROM licence_keys") == [("ann",)] or told(run) or waits(), legacy(
        world, "SELECT buyer FROM licence_keys"
    )


def test_a_unique_index_that_is_dropped_while_the_run_captures_is_missed(
    world: World, settings: Any, tmp_path: Any
) -> None:
    legacy(world, "CREATE TABLE people (login text PRIMARY KEY, mail text)")
    legacy(world, "CREATE UNIQUE INDEX small ON people (lower(login))")
    legacy(world, "INSERT INTO people VALUES ('ann', 'first')")
    use(settings, tmp_path, LOGINS % ('"login"', "md5(lower(login))::uuid"))
    organizations(world, ONE)
    run = captured(world)
    legacy(world, "DROP INDEX small")
    both_loops()
    legacy(world, "INSERT INTO people VALUES ('ANN', 'second')")
    both_loops()
    seen = iam(world, "SELECT email FROM users"), told(run)
    legacy(world, "DELETE FROM people WHERE login = 'ANN'")
    both_loops()
    assert seen[1] or iam(world, "SELECT email FROM users") == [("first",)], (seen, told(run))


@pytest.mark.parametrize("when", ["copy", "catch-up"])
def test_a_row_that_the_uuid_rule_names_is_kept_back_whatever_the_others_are(
    world: World, settings: Any, tmp_path: Any, when: str
) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    odd = WAYS["no hyphens"]
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + '[tables.reject]\nno_uuid = { uuid = "id" }\n')
    organizations(world, ONE)
    if when == "copy":
        legacy(world, "INSERT INTO people VALUES (%s, 'm')", odd)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    if when == "catch-up":
        legacy(world, "INSERT INTO people VALUES (%s, 'm')", odd)
        both_loops()
    assert list(QuarantinedRow.objects.filter(state="open").values_list("source_key", flat=True)) == [[odd]]


SOUND = {  # sql -> (key, indexes)
    "replace(id, 'user-', '')::uuid": ("id text", "CREATE UNIQUE INDEX ON people ((replace(id, 'user-', '')::uuid))"),
    "CAST(id AS uuid)": ("id uuid", ""),
    "CAST(id AS uuid) ": ("id text", ""),
    "md5(CAST(id AS varchar(36)))::uuid": ("id uuid", ""),
    "encode(id, 'hex')::uuid": ("id bytea", "CREATE UNIQUE INDEX ON people ((encode(id, 'hex')::uuid))"),
    "substr(encode(sha256(login::bytea), 'hex'), 1, 32)::uuid": (
        "login text",
        "CREATE UNIQUE INDEX ON people ((substr(encode(sha256(login::bytea), 'hex'), 1, 32)::uuid))",
    ),
    "('00000000-0000-4000-' || lpad(to_hex(id), 16, '0'))::uuid": ("id bigint", ""),
    "lpad(id::text, 32, '0')::uuid": ("id numeric(10,0)", ""),
    "md5(realm::text || login)::uuid": ("realm uuid, login text", ""),
    "('00000000-0000-4000-8000-0000' || lpad(to_hex(id), 8, '0'))::uuid": ("id integer", ""),
}


@pytest.mark.parametrize("sql", SOUND)
def test_a_key_that_is_another_for_every_row_is_captured(world: World, settings: Any, tmp_path: Any, sql: str) -> None:
    key, index = SOUND[sql]
    names = [each.split()[0] for each in key.split(", ")]
    legacy(world, f"CREATE TABLE people ({key}, mail text, PRIMARY KEY ({', '.join(names)}))")
    if index:
        legacy(world, index)
    use(settings, tmp_path, LOGINS % (", ".join(f'"{name}"' for name in names), sql))
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures


SEATS = """
name = "seats"
[[tables]]
source = "seats"
target = "seats"
key = ["id"]
[tables.columns]
id = "id"
note = "note"
"""


def test_a_whole_number_of_type_numeric_may_be_a_bigint(world: World, settings: Any, tmp_path: Any) -> None:
    legacy(world, "CREATE TABLE seats (id numeric(10,0) PRIMARY KEY, note text)")
    iam(world, "CREATE TABLE seats (id bigint PRIMARY KEY, note text)")
    use(settings, tmp_path, SEATS)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures


@pytest.mark.parametrize("when", ["copy", "catch-up"])
def test_a_row_that_is_kept_back_as_a_twin_gives_its_twin_no_role(
    world: World, settings: Any, tmp_path: Any, when: str
) -> None:
    """One source fills users and user_roles. Of 'a…' and 'A…' one arrives as a user; the other's role is not the first's."""
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text, role text NOT NULL)")
    legacy(world, "INSERT INTO people VALUES (%s, 'first', 'plain')", LOWER)
    twin = "INSERT INTO people VALUES (%s, 'second', 'boss')"
    if when == "copy":
        legacy(world, twin, LOWER.upper())
    organizations(world, ONE)
    iam(world, "INSERT INTO roles (name) VALUES ('plain'), ('boss')")
    use(
        settings,
        tmp_path,
        LOGINS % ('"id"', "id::uuid")
        + """
[tables.reject]
no_uuid = { uuid = "id" }
[[tables]]
source = "people"
target = "user_roles"
key = ["id"]
tenant_through = { users = "user_id" }
[tables.columns]
user_id = "id::uuid"
role_id = { lookup = "roles", by = "name", value = "role", where = "tenant_id IS NULL" }
[tables.reject]
no_uuid = { uuid = "id" }
""",
    )
    run = refused_or_captured(world)
    if run is None:
        return
    if when == "catch-up":
        legacy(world, twin, LOWER.upper())
        both_loops()
    has = iam(
        world,
        "SELECT u.email, r.name FROM user_roles m JOIN roles r ON r.id = m.role_id JOIN users u ON u.id = m.user_id",
    )
    assert has in ([("first", "plain")], [("second", "boss")]), told(run)


FINE = (
    "CREATE FUNCTION fine(note text) RETURNS {} LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF length(note) > 100"
    " THEN RAISE ''too long'' USING ERRCODE = ''MY001''; END IF; RETURN {}; END'"
)


@pytest.mark.parametrize("why", ["an index", "a check"])
def test_one_row_that_legacy_cannot_store_stops_nobody_else_on_the_way_back(
    world: World, settings: Any, joined: Any, why: str
) -> None:
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nbio = "note"\n'),
        ('active = "is_active"', 'active = "is_active"\nnote = "bio"'),
    )
    legacy(world, "ALTER TABLE people ADD note text")
    if why == "an index":
        legacy(world, "CREATE INDEX ON people (note)")
    else:
        legacy(world, FINE.format("boolean", "true"))
        legacy(world, "ALTER TABLE people ADD CHECK (fine(note))")
    person(world, "ann")
    person(world, "bob", org="bolt")
    run = begun(world)
    assert moved(org(world, "acme")).error == "" and moved(org(world, "bolt")).error == ""
    iam(
        world,
        "UPDATE users SET bio = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n) WHERE username = 'ann'",
    )
    iam(world, "UPDATE users SET email = 'new@example.org' WHERE username = 'bob'")
    both_loops()
    errors = list(FlowStatus.objects.exclude(error="").values_list("direction", "error"))
    assert legacy(world, "SELECT mail FROM people WHERE login = 'bob'") == [("new@example.org",)], (told(run), errors)


@pytest.mark.parametrize("why", ["an index", "a function", "depth"])
def test_one_row_that_cannot_be_brought_stops_nobody_else_forward(
    world: World, settings: Any, joined: Any, why: str
) -> None:
    sql = {"an index": "note", "a function": "fine(note)", "depth": "(note::json)::text"}[why]
    joined(
        ('is_active = "active"\n', f'is_active = "active"\nbio = "{sql}"\n'),
        ('active = "is_active"', 'active = "is_active"\nnote = "bio"'),
    )
    legacy(world, "ALTER TABLE people ADD note text")
    if why == "an index":
        iam(world, "CREATE INDEX ON users (bio)")
    elif why == "a function":
        legacy(world, FINE.format("text", "note"))
    ann = person(world, "ann")
    bob = person(world, "bob", org="bolt")
    run = begun(world)
    if why == "depth":
        legacy(world, "UPDATE people SET note = repeat('[', 100000) WHERE id = %s", ann)
    else:
        legacy(
            world,
            "UPDATE people SET note = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n) WHERE id = %s",
            ann,
        )
    legacy(world, "UPDATE people SET mail = 'new@example.org' WHERE id = %s", bob)
    both_loops()
    assert iam(world, "SELECT email FROM users WHERE username = 'bob'") == [("new@example.org",)], told(run)


def test_a_domain_of_the_same_name_that_takes_two_values_for_one_is_no_proof(
    world: World, settings: Any, tmp_path: Any
) -> None:
    legacy(world, "CREATE DOMAIN code AS text")
    legacy(world, "CREATE TABLE seats (id code PRIMARY KEY, note text)")
    iam(world, "CREATE EXTENSION IF NOT EXISTS citext")
    iam(world, "CREATE DOMAIN code AS citext")
    iam(world, "CREATE TABLE seats (id code PRIMARY KEY, note text)")
    legacy(world, "INSERT INTO seats VALUES ('sso', 'first')")
    use(settings, tmp_path, SEATS)
    run = refused_or_captured(world)
    if run is None:
        return
    legacy(world, "INSERT INTO seats VALUES ('SSO', 'second')")
    both_loops()
    seen = iam(world, "SELECT id, note FROM seats"), told(run)
    legacy(world, "DELETE FROM seats WHERE note = 'second'")
    both_loops()
    assert iam(world, "SELECT note FROM seats") == [("first",)], (seen, told(run))


def test_what_a_materialized_view_needs_is_told_and_can_be_done(world: World, settings: Any, joined: Any) -> None:
    joined(
        (
            'is_active = "active"\n',
            'is_active = "active"\nbio = "(SELECT s.said FROM sayings AS s WHERE s.id = people.id)"\n',
        )
    )
    legacy(world, "CREATE TABLE said (id uuid, said text)")
    legacy(world, "CREATE MATERIALIZED VIEW sayings AS SELECT id, said FROM said")
    person(world, "ann")
    run = builders.migrated(world, capture=True)
    assert run.state == "failed"
    assert "Name them under 'reads'" not in "".join(run.failures), run.failures


@pytest.mark.usefixtures("roles")
def test_without_temp_a_view_of_partitions_is_not_read_unwatched(world: World, settings: Any, tmp_path: Any) -> None:
    apply.apply(by="tester")
    role = f'"role_legacy_{world.name}"'
    for to in ("PUBLIC", role):
        on_server(f'REVOKE TEMP ON DATABASE "{world.name}_legacy" FROM {to}')
    legacy(world, "CREATE TABLE people (id uuid PRIMARY KEY, mail text)")
    legacy(world, "CREATE TABLE archive (id uuid, year int, said text) PARTITION BY LIST (year)")
    legacy(world, "CREATE VIEW sayings AS SELECT id, said FROM archive")
    legacy(world, f"ALTER TABLE people OWNER TO {role}")
    legacy(world, f"GRANT SELECT ON sayings, archive TO {role}")
    legacy(world, "INSERT INTO people VALUES (%s, 'ann')", LOWER)
    use(
        settings,
        tmp_path,
        LOGINS % ('"id"', "id") + 'bio = "(SELECT s.said FROM sayings AS s WHERE s.id = people.id)"\n',
    )
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    if run.state == "failed":
        return
    sync_tenants()
    both_loops()
    legacy(world, "CREATE TABLE archive_2027 PARTITION OF archive FOR VALUES IN (2027)")
    legacy(world, "INSERT INTO archive VALUES (%s, 2027, 'hm')", LOWER)
    both_loops()
    assert iam(world, "SELECT bio FROM users") == [("hm",)] or told(run), run.failures


BACK = '[tables.reverse]\nid = "id::text"\nmail = "email"\n'
RULE = '[tables.reject]\nno_uuid = { uuid = "id" }\n'


@pytest.mark.parametrize("way, rule", [("mixed", "rule"), ("no hyphens", "bare"), ("braces", "bare")])
def test_a_uuid_in_another_spelling_comes_back_to_its_own_row(
    world: World, settings: Any, tmp_path: Any, way: str, rule: str
) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(world, "INSERT INTO people VALUES (%s, 'first')", WAYS[way])
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + (RULE if rule == "rule" else "") + BACK)
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    if run.state == "failed" or iam(world, "SELECT count(*) FROM users") == [(0,)]:
        return
    sync_tenants()
    both_loops()
    if moved(ONE).error:
        return
    iam(world, "UPDATE users SET email = 'new', username = 'new'")
    both_loops()
    there = legacy(world, "SELECT id, mail FROM people")
    iam(world, "DELETE FROM users")
    both_loops()
    assert there == [(WAYS[way], "new")] and legacy(world, "SELECT id FROM people") == [], (
        there,
        legacy(world, "SELECT * FROM people"),
        told(run),
        waits(),
    )


@pytest.mark.parametrize("who", ["a chain", "a pair"])
def test_an_undo_takes_back_people_who_refer_to_each_other(world: World, settings: Any, joined: Any, who: str) -> None:
    iam(world, "ALTER TABLE users ADD boss uuid REFERENCES users")
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nboss = "boss"\n'),
        ('active = "is_active"', 'active = "is_active"\nboss = "boss"'),
    )
    legacy(world, "ALTER TABLE people ADD boss uuid REFERENCES people")
    ann, bob, _ = (person(world, name) for name in ("ann", "bob", "cat"))
    if who == "themselves":
        legacy(world, "UPDATE people SET boss = id")
    else:
        legacy(world, "UPDATE people SET boss = %s WHERE login = 'bob'", ann)
        legacy(world, "UPDATE people SET boss = %s WHERE login = 'cat'", bob)
        if who == "a pair":
            legacy(world, "UPDATE people SET boss = %s WHERE login = 'ann'", bob)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed" and iam(world, "SELECT count(*) FROM users WHERE boss IS NOT NULL") != [(0,)], (
        run.failures
    )
    undo(run, by="t", reason="r")
    builders.finish(Run.objects.get(pk=run.pk))
    assert iam(world, "SELECT username FROM users") == [], iam(
        world, "SELECT table_name, reason FROM portal_ledger.left_in_place"
    )


@pytest.mark.parametrize("why", ["a function", "depth"])
def test_one_row_that_cannot_be_computed_does_not_stop_the_copy(
    world: World, settings: Any, joined: Any, why: str
) -> None:
    sql = {"a function": "fine(note)", "depth": "(note::json)::text"}[why]
    joined(
        ('is_active = "active"\n', f'is_active = "active"\nbio = "{sql}"\n'),
        ('active = "is_active"', 'active = "is_active"\nnote = "bio"'),
    )
    legacy(world, "ALTER TABLE people ADD note text")
    legacy(world, FINE.format("text", "note"))
    ann = person(world, "ann")
    person(world, "bob")
    legacy(world, "UPDATE people SET note = repeat('[', 100000) WHERE id = %s", ann)
    run = builders.migrated(world, capture=True)
    builders.finish(run)
    assert iam(world, "SELECT username FROM users") == [("bob",)] and run.state == "completed", (
        run.state,
        run.failures,
    )


def swapped(world: World, where: Any, table: str, column: str, one: str, other: str, name: str) -> None:
    with where() as there, there.transaction():
        there.execute(f"UPDATE {table} SET {column} = 'between' WHERE {name} = %s", [one])
        there.execute(f"UPDATE {table} SET {column} = %s WHERE {name} = %s", [one, other])
        there.execute(f"UPDATE {table} SET {column} = %s WHERE {column} = 'between'", [other])


def test_two_who_swap_logins_that_others_follow_keep_them_while_they_wait(
    world: World, settings: Any, joined: Any
) -> None:
    """In legacy a licence of bolt's names its holder by login, ON UPDATE CASCADE. The IAM swaps two logins of acme's."""
    joined()
    add(settings, LICENCES)
    legacy(
        world,
        KEYS.replace(
            "buyer uuid REFERENCES people ON DELETE CASCADE", "buyer text REFERENCES people (login) ON UPDATE CASCADE"
        ),
    )
    person(world, "ann")
    person(world, "bob")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, 'ann' FROM orgs WHERE code = 'bolt'")
    run = begun(world)
    assert moved(org(world, "acme")).error == ""
    swapped(world, world.iam, "users", "username", "ann", "bob", "username")
    both_loops()
    logins, buyer = (
        legacy(world, "SELECT login FROM people ORDER BY 1"),
        legacy(world, "SELECT buyer FROM licence_keys"),
    )
    assert (logins, buyer) == ([("ann",), ("bob",)], [("ann",)]), (logins, buyer, told(run), waits())


def test_who_lets_go_of_a_unique_value_and_then_waits_has_it_again(world: World, settings: Any, joined: Any) -> None:
    """Ann and Bob of acme's swap their mail in legacy; Bob also takes a login that the IAM has given to somebody of its own."""
    joined()
    ann, bob = person(world, "ann"), person(world, "bob")
    legacy(world, "UPDATE people SET mail = login")
    run = begun(world, guarded=False)
    iam(
        world,
        "INSERT INTO users (tenant_id, username, email, hashed_password)"
        " SELECT id, 'root', 'root', 'x' FROM tenants WHERE slug = 'acme'",
    )
    both_loops()
    with world.legacy() as there, there.transaction():
        there.execute("UPDATE people SET mail = 'bob' WHERE id = %s", [ann])
        there.execute("UPDATE people SET mail = 'ann', login = 'root' WHERE id = %s", [bob])
    loops()
    mails = dict(iam(world, "SELECT username, email FROM users"))
    assert mails.get("bob", "") in ("ann", "bob"), (mails, told(run), waits())


def test_who_lets_go_of_a_unique_value_and_then_waits_has_it_again_on_the_way_back(
    world: World, settings: Any, joined: Any
) -> None:
    """The same the other way: legacy's login is unique among all organizations, and bolt has a 'root'."""
    joined()
    legacy(world, "ALTER TABLE people ADD CONSTRAINT a_mail UNIQUE (mail)")
    ann, bob = person(world, "ann"), person(world, "bob")
    person(world, "root", org="bolt")
    legacy(world, "UPDATE people SET mail = login")
    run = begun(world)
    assert moved(org(world, "acme")).error == ""
    with world.iam() as there, there.transaction():
        there.execute("UPDATE users SET email = 'between' WHERE id = %s", [ann])
        there.execute("UPDATE users SET email = 'ann', username = 'root' WHERE id = %s", [bob])
        there.execute("UPDATE users SET email = 'bob' WHERE id = %s", [ann])
    both_loops()
    mails = dict(legacy(world, "SELECT login, mail FROM people"))
    assert mails.get("bob", "") in ("ann", "bob"), (mails, told(run), waits())


def test_a_row_that_was_quarantined_for_a_bare_cast_is_closed_when_it_goes(
    world: World, settings: Any, tmp_path: Any
) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(world, "INSERT INTO people VALUES (%s, 'first')", LOWER)
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid"))
    organizations(world, ONE)
    run = captured(world)
    legacy(world, "INSERT INTO people VALUES ('nonsense', 'odd')")
    for _ in range(8):
        loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
    seen = list(QuarantinedRow.objects.filter(state="open").values_list("source_key", flat=True))
    legacy(world, "DELETE FROM people WHERE id = 'nonsense'")
    for _ in range(8):
        loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
    assert (
        seen
        and not QuarantinedRow.objects.filter(state="open").exists()
        and legacy(world, "SELECT * FROM portal_capture.queue") == []
    ), (seen, told(run), waits())


def test_who_cannot_become_a_customer_yet_stays_on_the_staff(world: World, settings: Any, tmp_path: Any) -> None:
    changed(world, settings, tmp_path)
    run = begun(world)
    assert moved(firm(world, "firm1")).error == ""
    both = "SELECT count(*) FROM everybody WHERE id = %s"
    [(one,)] = legacy(world, "SELECT id FROM staff WHERE login = 'firm1-1'")
    [(mail,)] = legacy(
        world, "SELECT mail FROM customers WHERE firm = (SELECT id FROM firms WHERE code = 'firm2') LIMIT 1"
    )
    assert legacy(world, both, one) == [(1,)]
    iam(world, "UPDATE users SET is_superuser = false, email = %s WHERE id = %s", mail, one)
    both_loops()
    assert legacy(world, both, one) == [(1,)], (
        told(run),
        waits(),
        iam(world, "SELECT error FROM portal_capture.queue"),
    )


ASSIGNED = """
[[tables]]
source = "assigned"
target = "user_roles"
key = ["person"]
tenant_through = { users = "user_id" }
ignored = ["note"]
[tables.columns]
user_id = "person"
role_id = { lookup = "roles", by = "name", value = "role", where = "tenant_id IS NULL" }
[tables.reverse]
person = "user_id"
role = { lookup = "roles", by = "name", value = "role_id", where = "tenant_id IS NULL" }
"""


def test_who_gets_another_role_in_the_iam_keeps_legacys_row_and_what_it_alone_knows(
    world: World, settings: Any, joined: Any
) -> None:
    """Legacy has one role a person, the IAM as many as one likes: the row that goes there is the one that comes."""
    joined()
    add(settings, ASSIGNED)
    table = "CREATE TABLE assigned (person uuid PRIMARY KEY REFERENCES people ON DELETE CASCADE, role text NOT NULL"
    legacy(world, f"{table}, note text)")
    iam(world, "INSERT INTO roles (name) VALUES ('plain'), ('boss')")
    ann = person(world, "ann")
    legacy(world, "INSERT INTO assigned VALUES (%s, 'plain', 'given by the board')", ann)
    begun(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "UPDATE user_roles SET role_id = (SELECT id FROM roles WHERE name = 'boss')")
    for turn in (loops, both_loops):
        turn()
        assert legacy(world, "SELECT role, note FROM assigned") == [("boss", "given by the board")]


def test_a_row_that_cannot_go_yet_keeps_its_unique_value(world: World, settings: Any, joined: Any) -> None:
    """Bolt's licence keeps acme's Ann in legacy; the IAM has deleted her, and somebody else has her login there."""
    joined()
    add(settings, LICENCES)
    legacy(world, KEYS)
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = 'bolt'", ann)
    run = begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    with world.iam() as there, there.transaction():
        there.execute("DELETE FROM users WHERE username = 'ann'")
        there.execute(
            "INSERT INTO users (tenant_id, username, email, hashed_password) VALUES (%s, 'ann', 'new', 'x')", [acme]
        )
    both_loops()
    assert legacy(world, "SELECT login FROM people WHERE id = %s", ann) == [("ann",)], (
        legacy(world, "SELECT id, login FROM people"),
        told(run),
        waits(),
    )


def test_legacys_own_triggers_are_silent_while_two_swap_a_unique_value(
    world: World, settings: Any, joined: Any
) -> None:
    joined()
    legacy(world, "CREATE TABLE log (login text)")
    legacy(
        world,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.login); RETURN NULL; END'",
    )
    legacy(world, "CREATE TRIGGER note AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note()")
    person(world, "ann")
    person(world, "bob")
    begun(world)
    assert moved(org(world, "acme")).error == ""
    iam(world, "UPDATE users SET email = 'new' WHERE username = 'ann'")
    both_loops()
    assert legacy(world, "TABLE log") == []
    swapped(world, world.iam, "users", "username", "ann", "bob", "username")
    both_loops()
    assert legacy(world, "TABLE log") == [] and unlike(world) == set()


NAMED = {
    "md5(login)::uuid": "login text PRIMARY KEY, md5 text",
    "md5(user$id)::uuid": "user$id text PRIMARY KEY",
    "md5(Ölnr)::uuid": "Ölnr text PRIMARY KEY",
    "people.id": "id uuid PRIMARY KEY, people text",
}


@pytest.mark.parametrize("sql", NAMED)
def test_a_column_that_is_called_like_a_function_or_in_an_odd_way_is_no_obstacle(
    world: World, settings: Any, tmp_path: Any, sql: str
) -> None:
    columns = NAMED[sql]
    legacy(world, f"CREATE TABLE people ({columns}, mail text)")
    name = legacy(world, "SELECT attname FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum = 1")[0][0]
    more = [each.split()[0] for each in columns.split(", ")[1:]]
    text = LOGINS % (f'"{name}"', sql)
    if more:
        text = text.replace('tenant = "tenant_id"\n', f'tenant = "tenant_id"\nignored = ["{more[0]}"]\n')
    use(settings, tmp_path, text)
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures


def test_a_swap_of_logins_where_one_is_taken_elsewhere_in_legacy_leaves_both_able_to_log_in(
    world: World, settings: Any, joined: Any
) -> None:
    """Three of acme's pass on their logins in a ring in the IAM; one also gets a mail that bolt has, unique in legacy."""
    joined()
    legacy(world, "ALTER TABLE people ADD CONSTRAINT z_mail UNIQUE (mail)")
    ids = [person(world, name) for name in ("ann", "bob", "cat")]
    person(world, "dan", org="bolt")
    legacy(world, "UPDATE people SET mail = login || '@example.org'")
    run = begun(world)
    assert moved(org(world, "acme")).error == ""
    with world.iam() as there, there.transaction():
        there.execute("UPDATE users SET username = 'x' || username WHERE id = ANY(%s::uuid[])", [ids])
        for id, name in zip(ids, ("bob", "cat", "ann"), strict=True):
            there.execute("UPDATE users SET username = %s WHERE id = %s", [name, id])
        there.execute("UPDATE users SET email = 'dan@example.org' WHERE id = %s", [ids[0]])
    both_loops()
    logins = {row[0] for row in legacy(world, "SELECT login FROM people")}
    assert logins == {"ann", "bob", "cat", "dan"}, (logins, told(run), waits())


def test_two_who_swap_logins_that_others_follow_in_the_iam_keep_them_while_they_wait(
    world: World, settings: Any, joined: Any
) -> None:
    """A licence of bolt's, which lives in the IAM, names its holder by login (ON UPDATE CASCADE). Legacy swaps two of acme's."""
    joined()
    iam(world, "ALTER TABLE users ADD UNIQUE (username)")
    iam(world, "ALTER TABLE licenses ADD holder varchar(255) REFERENCES users (username) ON UPDATE CASCADE")
    add(settings, HELD_BY)
    legacy(world, KEYS.replace("buyer uuid REFERENCES people ON DELETE CASCADE", "buyer text"))
    person(world, "ann")
    person(world, "bob")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, 'ann' FROM orgs WHERE code = 'bolt'")
    run = begun(world)
    assert moved(org(world, "bolt")).error == ""
    swapped(world, world.legacy, "people", "login", "ann", "bob", "login")
    for _ in range(8):
        loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
    logins, holder = iam(world, "SELECT username FROM users ORDER BY 1"), iam(world, "SELECT holder FROM licenses")
    assert (logins, holder) == ([("ann",), ("bob",)], [("ann",)]), (logins, holder, told(run), waits())


def test_a_new_row_in_the_place_of_one_that_stays_waits_without_taking_its_mail(
    world: World, settings: Any, joined: Any
) -> None:
    """Legacy deletes Ann and makes another with her mail; a licence of bolt's, which lives in the IAM, keeps the first."""
    joined()
    iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users ON DELETE CASCADE")
    add(settings, HELD_BY)
    legacy(world, KEYS.replace("REFERENCES people ON DELETE CASCADE", ""))
    ann = person(world, "ann")
    person(world, "bob", org="bolt")
    legacy(world, "UPDATE people SET mail = login")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, %s FROM orgs WHERE code = 'bolt'", ann)
    run = begun(world)
    assert moved(org(world, "bolt")).error == ""
    legacy(world, "DELETE FROM people WHERE id = %s", ann)
    person(world, "ann")
    legacy(world, "UPDATE people SET mail = login WHERE login = 'ann'")
    loops()
    assert iam(world, "SELECT username, email FROM users WHERE id = %s", ann) == [("ann", "ann")], (
        iam(world, "SELECT username, email FROM users"),
        told(run),
        waits(),
    )


def cycle(world: World, settings: Any, joined: Any) -> str:
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nbio = "main::text"\n'),
        ('active = "is_active"', 'active = "is_active"\nmain = "bio::uuid"'),
    )
    add(settings, HELD_BY)
    iam(world, "ALTER TABLE licenses ADD holder uuid")
    legacy(world, KEYS)
    legacy(world, "ALTER TABLE people ADD main uuid REFERENCES licence_keys ON DELETE SET NULL")
    ann = person(world, "ann")
    person(world, "bob")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT org, 'k', id FROM people WHERE login = 'ann'")
    legacy(world, "UPDATE people SET main = (SELECT id FROM licence_keys) WHERE login = 'ann'")
    return ann


def test_two_rows_of_two_tables_that_refer_to_each_other_go_together_on_the_way_back(
    world: World, settings: Any, joined: Any
) -> None:
    cycle(world, settings, joined)
    begun(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    with world.iam() as there, there.transaction():
        there.execute("DELETE FROM licenses")
        there.execute("DELETE FROM users WHERE username = 'ann'")
    both_loops()
    iam(world, "UPDATE portal_capture.queue SET not_before = now()")
    both_loops()
    why = iam(world, "SELECT table_name, key, error FROM portal_capture.queue")
    assert (legacy(world, "SELECT login FROM people"), legacy(world, "SELECT key FROM licence_keys")) == (
        [("bob",)],
        [],
    ), why
    assert moved(acme, "legacy").error == ""


def test_two_rows_of_two_tables_that_refer_to_each_other_go_together_forward(
    world: World, settings: Any, joined: Any
) -> None:
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nmain = "main"\n'),
        ('active = "is_active"', 'active = "is_active"\nmain = "main"'),
    )
    add(settings, HELD_BY)
    iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users ON DELETE CASCADE")
    iam(world, "ALTER TABLE users ADD main uuid")
    legacy(world, KEYS)
    legacy(world, "ALTER TABLE people ADD main uuid REFERENCES licence_keys ON DELETE SET NULL")
    person(world, "ann")
    person(world, "bob")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT org, 'k', id FROM people WHERE login = 'ann'")
    legacy(world, "UPDATE people SET main = (SELECT id FROM licence_keys) WHERE login = 'ann'")
    run = begun(world)
    iam(world, "ALTER TABLE users ADD FOREIGN KEY (main) REFERENCES licenses ON DELETE SET NULL")
    legacy(world, "DELETE FROM people WHERE login = 'ann'")
    for _ in range(8):
        loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
    assert (iam(world, "SELECT username FROM users"), iam(world, "SELECT license_key FROM licenses")) == (
        [("bob",)],
        [],
    ), told(run)


def test_a_reference_in_capitals_that_the_iam_did_not_change_comes_back_in_capitals(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """Legacy has no foreign keys; ids are text in capitals. The IAM changes a licence's word alone."""
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(world, "CREATE TABLE keys (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), buyer text, word text)")
    iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users")
    legacy(world, "INSERT INTO people VALUES (%s, 'first')", LOWER.upper())
    legacy(world, "INSERT INTO keys (buyer, word) VALUES (%s, 'k')", LOWER.upper())
    use(
        settings,
        tmp_path,
        LOGINS % ('"id"', "id::uuid")
        + RULE
        + BACK
        + f"""
[[tables]]
source = "keys"
target = "licenses"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id"
tenant_id = "'{ONE}'::uuid"
license_key = "word"
holder = "buyer::uuid"
[tables.reject]
odd = {{ uuid = "buyer" }}
[tables.reverse]
id = "id"
word = "license_key"
buyer = "holder::text"
""",
    )
    organizations(world, ONE)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    sync_tenants()
    both_loops()
    if (move := moved(ONE)).error:
        return
    iam(world, "UPDATE licenses SET license_key = 'changed'")
    both_loops()
    assert legacy(world, "SELECT word, buyer = (SELECT id FROM people) FROM keys") == [("changed", True)], (
        legacy(world, "TABLE keys"),
        told(run),
        move.error,
    )


def test_one_of_two_that_refer_to_each_other_that_is_kept_keeps_the_other(
    world: World, settings: Any, joined: Any
) -> None:
    """A licence of bolt's, which lives in legacy, keeps Ann; when acme's went, which is her main one, she would lose that."""
    ann = cycle(world, settings, joined)
    legacy(
        world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, 'bolts', %s FROM orgs WHERE code = 'bolt'", ann
    )
    begun(world)
    assert moved(org(world, "acme")).error == ""
    with world.iam() as there, there.transaction():
        there.execute("DELETE FROM licenses WHERE license_key = 'k'")
        there.execute("DELETE FROM users WHERE username = 'ann'")
    both_loops()
    assert legacy(world, "SELECT p.login, k.key FROM people p JOIN licence_keys k ON k.id = p.main") == [("ann", "k")]
    assert waits()


@pytest.mark.parametrize("trigger", [True, False])
def test_who_refers_to_one_that_waits_for_a_login_does_not_arrive_without_what_it_refers_to(
    world: World, settings: Any, joined: Any, trigger: bool
) -> None:
    """In the IAM bolt's 'root' is new and the boss of 'new'; legacy has a 'root' of acme's: the boss waits."""
    iam(world, "ALTER TABLE users ADD boss uuid REFERENCES users")
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nboss = "boss"\n'),
        ('active = "is_active"', 'active = "is_active"\nboss = "boss"'),
    )
    legacy(world, "ALTER TABLE people ADD boss uuid REFERENCES people")
    if trigger:
        legacy(world, "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        legacy(
            world, "CREATE TRIGGER nothing BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION nothing()"
        )
    person(world, "root")
    person(world, "ann", org="bolt")
    run = begun(world)
    bolt = org(world, "bolt")
    assert moved(bolt).error == ""
    with world.iam() as there, there.transaction():
        [(boss,)] = there.execute(
            "INSERT INTO users (tenant_id, username, email, hashed_password) VALUES (%s, 'root', 'r@x', 'x') RETURNING id",
            [bolt],
        ).fetchall()
        there.execute(
            "INSERT INTO users (tenant_id, username, email, hashed_password, boss) VALUES (%s, 'new', 'n@x', 'x', %s)",
            [bolt, boss],
        )
    both_loops()
    dangling = legacy(
        world,
        "SELECT login FROM people p WHERE boss IS NOT NULL AND NOT EXISTS (SELECT FROM people b WHERE b.id = p.boss)",
    )
    assert dangling == [], (dangling, told(run), waits())


@pytest.fixture
def merges(monkeypatch: Any) -> list[Any]:
    counted: list[Any] = []
    real = merging._merged
    monkeypatch.setattr(merging, "_merged", lambda work: (counted.append((dict(work.keys), work.widen)), real(work))[1])
    return counted


def test_a_chain_of_logins_whose_end_is_taken_is_settled_in_a_few_transactions(
    world: World, settings: Any, joined: Any, merges: list[Any]
) -> None:
    """In the IAM everybody of acme's gets the next one's login; the last one's new login is bolt's in legacy."""
    joined()
    many = 40
    person(world, "p9999", org="bolt")
    for n in range(many):
        person(world, f"p{n:04}")
    run = begun(world)
    assert moved(org(world, "acme")).error == ""
    with world.iam() as there, there.transaction():
        acme = "tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')"
        there.execute(f"UPDATE users SET username = 'x' || username WHERE {acme}")
        there.execute(
            "UPDATE users SET username = CASE substr(username, 3)::int WHEN %s THEN 'p9999'"
            f" ELSE 'p' || lpad((substr(username, 3)::int + 1)::text, 4, '0') END WHERE {acme}",
            [many - 1],
        )
    merges.clear()
    loops()
    assert len(merges) < 5 and waits(), told(run)


def test_a_batch_with_a_deletion_of_a_table_whose_rule_looks_elsewhere_is_made_once(
    world: World, settings: Any, joined: Any, merges: list[Any]
) -> None:
    joined()
    add(settings, "")
    text = settings.MIGRATION_PLAN.read_text()
    place = text.rindex("[tables.reverse]")
    rule = '[tables.reject]\nno_org = "NOT EXISTS (SELECT FROM orgs AS o WHERE o.id = people.org)"\n'
    settings.MIGRATION_PLAN.write_text(text[:place] + rule + text[place:])
    ann = person(world, "ann")
    person(world, "bob")
    run = begun(world, guarded=False)
    merges.clear()
    with world.legacy() as there, there.transaction():
        there.execute("DELETE FROM people WHERE id = %s", [ann])
        there.execute("UPDATE people SET mail = 'new' WHERE login = 'bob'")
    loops()
    assert iam(world, "SELECT username, email FROM users") == [("bob", "new")], told(run)
    assert len(merges) <= 1 and all(widen for _, widen in merges), merges


def on_logins(world: World, settings: Any, tmp_path: Any, *, index: bool = True) -> Run:
    legacy(world, "CREATE TABLE people (login text PRIMARY KEY, mail text)")
    if index:
        legacy(world, "CREATE UNIQUE INDEX small ON people (lower(login))")
    legacy(world, "INSERT INTO people VALUES ('ann', 'first')")
    use(settings, tmp_path, LOGINS % ('"login"', "md5(lower(login))::uuid" if index else "md5(login)::uuid"))
    organizations(world, ONE)
    return captured(world)


def test_a_key_that_is_renamed_is_told_as_drift_where_an_index_tells_rows_apart(
    world: World, settings: Any, tmp_path: Any
) -> None:
    run = on_logins(world, settings, tmp_path)
    legacy(world, "ALTER TABLE people RENAME login TO logon")
    with open_transfer(run, "test") as transfer:
        assert "people.login is gone" in drift.drift(run, transfer)


def test_a_key_that_is_unique_no_more_is_missed(world: World, settings: Any, tmp_path: Any) -> None:
    run = on_logins(world, settings, tmp_path, index=False)
    legacy(world, "ALTER TABLE people DROP CONSTRAINT people_pkey")
    both_loops()
    legacy(world, "INSERT INTO people VALUES ('ann', 'second')")
    both_loops()
    seen = iam(world, "SELECT email FROM users"), told(run)
    legacy(world, "DELETE FROM people WHERE mail = 'second'")
    both_loops()
    assert seen[1] or iam(world, "SELECT email FROM users") == [("first",)] == seen[0], (seen, told(run))


def test_who_swaps_a_unique_value_keeps_what_the_iam_alone_says(world: World, settings: Any, joined: Any) -> None:
    """A column with a default of the plan's is the IAM's own from then on, and here a part of a unique constraint."""
    iam(world, "ALTER TABLE users ADD badge text, ADD UNIQUE (badge, email)")
    joined()
    text = settings.MIGRATION_PLAN.read_text()
    place = text.rindex("[tables.reverse]")
    settings.MIGRATION_PLAN.write_text(text[:place] + "[tables.defaults]\nbadge = \"'plain'\"\n" + text[place:])
    ann, bob = person(world, "ann"), person(world, "bob")
    run = begun(world, guarded=False)
    assert iam(world, "SELECT username, badge FROM users ORDER BY 1") == [("ann", "plain"), ("bob", "plain")]
    with world.legacy() as there, there.transaction():
        there.execute("UPDATE people SET mail = 'bob' WHERE id = %s", [ann])
        there.execute("UPDATE people SET mail = 'ann' WHERE id = %s", [bob])
    loops()
    assert iam(world, "SELECT username, email, badge FROM users ORDER BY 1") == [
        ("ann", "bob", "plain"), ("bob", "ann", "plain")
    ], told(run)  # fmt: skip


def test_two_words_for_one_role_keep_it_where_the_column_is_called_lower_role(
    world: World, settings: Any, tmp_path: Any
) -> None:
    from tests.attack.test_lookups import granted, of_grants, schema, write
    from tests.attack.test_lookups import person as somebody

    schema(world)
    text = of_grants(settings, tmp_path, words='boss = "admin", chief = "admin"')
    write(settings, text.replace('value = "role"', 'value = "lower_role"').replace(
        '"person", "role"', '"person", "lower_role"').replace("\nrole = {", "\nlower_role = {"))  # fmt: skip
    ann = somebody(world, "ann", "boss")
    legacy(world, "ALTER TABLE grants RENAME role TO lower_role")
    captured(world)
    for change, has in (
        ("INSERT INTO grants VALUES (%s, 'chief')", True),
        ("DELETE FROM grants WHERE person = %s AND lower_role = 'chief'", True),
    ):
        legacy(world, change, ann)
        both_loops()
        assert granted(world) == ({("ann", "admin")} if has else set()), change


def test_a_deleted_row_with_a_key_of_bytes_goes_where_a_rule_looks_elsewhere(
    world: World, settings: Any, tmp_path: Any
) -> None:
    legacy(world, "CREATE TABLE people (id bytea PRIMARY KEY, mail text)")
    legacy(world, "CREATE TABLE blocked (id bytea PRIMARY KEY)")
    legacy(world, "CREATE UNIQUE INDEX ON people ((encode(id, 'hex')::uuid))")
    for n in (1, 2):
        legacy(world, "INSERT INTO people VALUES (decode(md5(%s), 'hex'), %s)", str(n), str(n))
    rule = '[tables.reject]\nblocked = "EXISTS (SELECT FROM blocked AS b WHERE b.id = people.id)"\n'
    text = LOGINS % ('"id"', "encode(id, 'hex')::uuid")
    text = text.replace(
        'tenant = "tenant_id"\n', 'tenant = "tenant_id"\n[tables.reads.blocked]\nlink = { id = "id" }\n'
    )
    use(settings, tmp_path, text + rule)
    organizations(world, ONE)
    run = captured(world)
    legacy(world, "DELETE FROM people WHERE mail = '1'")
    both_loops()
    assert iam(world, "SELECT email FROM users") == [("2",)], (told(run), waits())
