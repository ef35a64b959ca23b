"""Look-ups, as nobody expected them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migration_portal.catchup.models import FlowStatus
from migration_portal.catchup.revise import revise
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.world import World

PEOPLE = """
name = "attack"
[[tables]]
source = "firms"
target = "tenants"
key = ["id"]
tenant = "id"
[tables.columns]
id = "id"
name = "title"
slug = "short"
[tables.reverse]
id = "id"
title = "name"
short = "slug"

[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
secret = ["hashed_password"]
[tables.columns]
id = "id"
tenant_id = "firm"
username = "login"
email = "login || '@example.org'"
hashed_password = "'!'"
%(columns)s
[tables.reverse]
id = "id"
firm = "tenant_id"
login = "username"
%(reverse)s
"""

GRANTS = """
[[tables]]
source = "grants"
target = "user_roles"
key = ["person", "role"]
tenant_through = { users = "user_id" }
[tables.columns]
user_id = "person"
role_id = %(look)s
[tables.reverse]
person = "user_id"
role = %(back)s
"""

FIRM = "5f0c0000-0000-4000-8000-00000000000f"
OTHER = "5f0c0000-0000-4000-8000-00000000001f"


def look(
    value: str = "role", *, words: str = "", where: str = "tenant_id IS NULL", of: str = "roles", by: str = "name"
) -> str:
    said = f'lookup = "{of}", by = "{by}", value = "{value}"'
    if where:
        said += f", where = {json.dumps(where, ensure_ascii=False)}"
    return "{ " + said + (f", words = {{ {words} }}" if words else "") + " }"


def schema(world: World, role: str = "text", more: str = "") -> None:
    with world.legacy() as there:
        there.execute(
            f"""CREATE TABLE firms (id uuid PRIMARY KEY, title text NOT NULL, short text NOT NULL UNIQUE);
            CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), firm uuid NOT NULL REFERENCES firms (id),
                                 login text NOT NULL, role {role} {more});
            CREATE TABLE grants (person uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE, role text NOT NULL,
                                 PRIMARY KEY (person, role));
            INSERT INTO firms VALUES ('{FIRM}', 'Firm', 'firm'), ('{OTHER}', 'Other', 'other')"""  # type: ignore[arg-type]
        )


def person(world: World, login: str, *grants: str, role: str | None = None, firm: str = FIRM) -> str:
    [(made,)] = legacy(
        world, "INSERT INTO people (firm, login, role) VALUES (%s, %s, %s) RETURNING id::text", firm, login, role
    )
    for each in grants:
        legacy(world, "INSERT INTO grants VALUES (%s, %s)", made, each)
    return str(made)


def role(world: World, name: str) -> str:
    return str(iam(world, "INSERT INTO roles (name) VALUES (%s) RETURNING id", name)[0][0])


def granted(world: World) -> set[Any]:
    return set(
        iam(
            world,
            "SELECT u.username, r.name FROM user_roles m JOIN users u ON u.id = m.user_id JOIN roles r ON r.id = m.role_id",
        )
    )


def plan(settings: Any, tmp_path: Path, *, columns: str = "", reverse: str = "", grants: str = "") -> str:
    text = PEOPLE % {"columns": columns, "reverse": reverse} + grants
    path = tmp_path / "plan.toml"
    path.write_text(text)
    settings.MIGRATION_PLAN = path
    return text


def of_grants(
    settings: Any, tmp_path: Path, *, words: str = "", where: str = "tenant_id IS NULL", back_words: str | None = None
) -> str:
    text = GRANTS % {
        "look": look(words=words, where=where),
        "back": look("role_id", words=words if back_words is None else back_words, where=where),
    }
    return plan(settings, tmp_path, columns="", reverse="", grants=text).replace(
        'secret = ["hashed', 'ignored = ["role"]\nsecret = ["hashed'
    )


def write(settings: Any, text: str) -> None:
    Path(settings.MIGRATION_PLAN).write_text(text)


def captured(world: World) -> Run:
    run = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    return run


def single(settings: Any, tmp_path: Path, world: World, **options: str) -> str:
    """people.role, nullable, is users.role_id."""
    iam(world, "ALTER TABLE users ADD COLUMN role_id uuid REFERENCES roles (id)")
    return plan(
        settings, tmp_path, columns=f"role_id = {look(**options)}", reverse=f"role = {look('role_id', **options)}"
    )


def findings() -> dict[str, Any]:
    return {each["subject"]: each for each in preflight()["findings"]}


def test_a_word_that_means_another_role_does_not_fall_back_to_the_role_that_is_called_so(
    world: World, settings: Any, tmp_path: Path
) -> None:
    """Plan: legacy's `user` is the IAM's `member`. There is no `member` yet, but a `user`, which is something else."""
    schema(world)
    write_to = of_grants(settings, tmp_path, words='user = "member"')
    write(settings, write_to)
    person(world, "ann", "user")
    builders.migrated(world)
    assert granted(world) == set(), "legacy's user got the IAM's role user, though the plan says that it is member"


def test_revising_does_not_change_what_a_word_already_led_to(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    write(settings, of_grants(settings, tmp_path, words='user = "member"'))
    person(world, "ann", "user")
    run = captured(world)
    before = granted(world)
    role(world, "member")
    try:
        revise(run, by="tester", reason="a member is there by now")
    except Refusal:
        return
    run.refresh_from_db()
    verify(run, by="tester")
    run = builders.finish(run)
    assert granted(world) == before and report(run).passed, (before, granted(world), report(run).passed)


def test_a_role_of_the_iam_that_is_called_as_legacy_calls_another_does_not_come_back_as_that(
    world: World, settings: Any, tmp_path: Path
) -> None:
    """Legacy's administrator is the IAM's admin; the IAM has a (harmless) role `administrator`, too."""
    schema(world)
    role(world, "administrator")
    write(settings, of_grants(settings, tmp_path, words='administrator = "admin"'))
    ann = person(world, "ann", "user")
    captured(world)
    assert moved(FIRM).error == ""
    iam(world, "INSERT INTO user_roles (user_id, role_id) SELECT %s, id FROM roles WHERE name = 'administrator'", ann)
    both_loops()
    assert "differ between the two systems" in moved(FIRM, "legacy").error
    assert legacy(world, "SELECT role FROM grants WHERE person = %s", ann) == [("user",)]
    iam(world, "DELETE FROM user_roles WHERE role_id = (SELECT id FROM roles WHERE name = 'administrator')")
    both_loops()
    assert moved(FIRM, "legacy").error == ""


def test_what_preflight_says_of_such_a_role(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    role(world, "administrator")
    write(settings, of_grants(settings, tmp_path, words='administrator = "admin"'))
    person(world, "ann", "user")
    said = [each for each in preflight()["findings"] if each["severity"] != "info" and "administrator" in str(each)]
    assert said, "nothing said"


def test_a_nullable_column_does_not_become_null_silently(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    write(settings, single(settings, tmp_path, world))
    ann = person(world, "ann", role="user")
    run = captured(world)
    assert report(run).passed
    assert moved(FIRM).error == ""
    role(world, "late")
    dict(FlowStatus.objects.values_list("direction", "entries"))
    iam(world, "UPDATE users SET role_id = (SELECT id FROM roles WHERE name = 'late') WHERE id = %s", ann)
    both_loops()
    said = [(each.direction, each.error, each.trouble) for each in FlowStatus.objects.all()]
    kept = list(QuarantinedRow.objects.values_list("table_name", "reason"))
    back = legacy(world, "SELECT role FROM people WHERE id = %s", ann)
    result = moved(FIRM, "legacy").error
    both_loops()
    here = iam(world, "SELECT r.name FROM users u LEFT JOIN roles r ON r.id = u.role_id WHERE u.id = %s", ann)
    assert back != [(None,)], f"legacy's role was overwritten by NULL: {said} {kept}, reverse says {result}"
    assert here == [("late",)] or result, (
        f"legacy: {back}, reversed with error {result!r}, IAM then: {here}; said {said} {kept}"
    )


def test_the_same_when_the_iam_gives_a_role_of_another_where(world: World, settings: Any, tmp_path: Path) -> None:
    """A role of the tenant's own, which `where` leaves out, in a nullable column."""
    schema(world)
    write(settings, single(settings, tmp_path, world))
    ann = person(world, "ann", role="user")
    captured(world)
    assert moved(FIRM).error == ""
    iam(world, "INSERT INTO roles (name, tenant_id) VALUES ('own', %s)", FIRM)
    iam(world, "UPDATE users SET role_id = (SELECT id FROM roles WHERE name = 'own') WHERE id = %s", ann)
    both_loops()
    result = moved(FIRM, "legacy").error
    both_loops()
    here = iam(world, "SELECT r.name FROM users u LEFT JOIN roles r ON r.id = u.role_id WHERE u.id = %s", ann)
    assert here == [("own",)] or result, f"{result!r} {here}"


def test_a_new_role_in_a_column_of_the_key_keeps_the_tenant_and_says_so_and_revise_helps(
    world: World, settings: Any, tmp_path: Path
) -> None:
    schema(world)
    write(settings, of_grants(settings, tmp_path))
    ann = person(world, "ann", "user")
    bob = person(world, "bob", "user", firm=OTHER)
    run = captured(world)
    assert moved(FIRM).error == "" and moved(OTHER).error == ""
    role(world, "late")
    iam(world, "INSERT INTO user_roles (user_id, role_id) SELECT %s, id FROM roles WHERE name = 'late'", ann)
    iam(world, "UPDATE users SET username = 'bobby', email = 'bobby@example.org' WHERE id = %s", bob)
    both_loops()
    print(
        [(each.direction, each.error, each.trouble, each.entries, each.retrying) for each in FlowStatus.objects.all()]
    )
    assert legacy(world, "SELECT login FROM people WHERE id = %s", bob) == [("bobby",)]
    result = moved(FIRM, "legacy").error
    assert result, "it returned without the row"
    assert revise(run, by="tester", reason="late is there") == ["user_roles"]
    both_loops()
    assert set(legacy(world, "SELECT role FROM grants WHERE person = %s", ann)) == {("user",), ("late",)}
    assert moved(FIRM, "legacy").error == ""
    both_loops()
    assert granted(world) == {("ann", "user"), ("ann", "late"), ("bobby", "user")}
    assert moved(OTHER, "legacy").error == ""
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == "undone"


ODD = [
    "selector", "in (select", "exists (select 1)", "o'neil", 'say "x"', "back\\slash", "100%", "%s %(x)s", "{brace} {}", "Ünï–日本",
    "", " lead", "tab\t", "new\nline", "x" * 100, "\\u0041", "\\", "'; DROP TABLE people; --", "$$", "NULL", "null", "--", "/*",
]  # fmt: skip


def test_odd_words_go_there_and_back(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    for word in ODD:
        role(world, word)
    write(settings, of_grants(settings, tmp_path))
    ann = person(world, "ann", *ODD, "user")
    run = captured(world)
    assert report(run).passed
    assert granted(world) == {("ann", word) for word in [*ODD, "user"]}
    assert moved(FIRM).error == ""
    iam(world, "DELETE FROM user_roles WHERE user_id = %s", ann)
    both_loops()
    assert legacy(world, "SELECT role FROM grants") == []
    iam(world, "INSERT INTO user_roles (user_id, role_id) SELECT %s, id FROM roles WHERE name = ANY(%s)", ann, ODD)
    both_loops()
    assert {word for (word,) in legacy(world, "SELECT role FROM grants")} == {*ODD}
    assert moved(FIRM, "legacy").error == ""


def test_a_role_that_is_called_select_is_counted_by_preflight(world: World, settings: Any, tmp_path: Path) -> None:
    """The way back of everything is computable in legacy: there is a role 'selector' that nobody has."""
    schema(world)
    role(world, "selector")
    write(settings, of_grants(settings, tmp_path, words='boss = "admin", chief = "admin"'))
    person(world, "ann", "chief")
    said = findings()["grants.role"]
    assert "something else in 1 of 1" in said["what"], said


def test_a_legacy_in_latin1_is_not_kept_by_a_role_that_nobody_of_it_has(
    world: World, settings: Any, tmp_path: Path
) -> None:
    from tests.servers import drop, on_server, url_of

    name = f"{world.name}_latin"
    on_server(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        settings.LEGACY_DATABASE_URL = url_of(name)
        world.legacy = lambda: psycopg.connect(url_of(name), autocommit=True)  # type: ignore[method-assign]
        schema(world)
        role(world, "管理者")
        role(world, "größer")
        write(settings, of_grants(settings, tmp_path))
        person(world, "ann", "user", "größer")
        said = [each for each in preflight()["findings"] if each["severity"] == "error"]
        assert not said, said
        run = captured(world)
        assert report(run).passed and granted(world) == {("ann", "user"), ("ann", "größer")}
    finally:
        from django.db import connections

        connections.close_all()
        drop(name)


@pytest.mark.parametrize("kind", ["char(20)", "citext", "word"])
def test_legacys_column_may_be_of_any_type(world: World, settings: Any, tmp_path: Path, kind: str) -> None:
    if kind == "citext":
        legacy(world, "CREATE EXTENSION citext")
    if kind == "word":
        legacy(world, "CREATE TYPE word AS ENUM ('user', 'admin', 'nobody')")
    schema(world, kind)
    write(settings, single(settings, tmp_path, world))
    ann = person(world, "ann", role="user")
    person(world, "nob", role="nobody")
    person(world, "nul", role=None)
    assert not [each for each in preflight()["findings"] if each["severity"] == "error"]
    run = captured(world)
    assert report(run).accounted and report(run).passed
    assert set(iam(world, "SELECT u.username, r.name FROM users u LEFT JOIN roles r ON r.id = u.role_id")) == {
        ("ann", "user"),
        ("nul", None),
    }
    builders.decided()
    assert moved(FIRM).error == ""
    iam(world, "UPDATE users SET role_id = (SELECT id FROM roles WHERE name = 'admin') WHERE id = %s", ann)
    both_loops()
    assert [each[0].strip() for each in legacy(world, "SELECT role::text FROM people WHERE id = %s", ann)] == ["admin"]
    assert moved(FIRM, "legacy").error == ""
    undo(run, by="tester", reason="x")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == "undone"


@pytest.mark.parametrize("key", ["timestamptz", "bytea", "citext", "char(9)"])
def test_the_iams_key_may_be_of_any_type(world: World, settings: Any, tmp_path: Path, key: str) -> None:
    values = {"timestamptz": "2026-02-01 00:00:00.123+05", "bytea": "\\x00ff", "citext": "Ab", "char(9)": "ab"}
    if key == "citext":
        iam(world, "CREATE EXTENSION IF NOT EXISTS citext")
    iam(world, f"CREATE TABLE levels (id {key} PRIMARY KEY, label text NOT NULL)")
    iam(world, "INSERT INTO levels VALUES (%s, 'high')", values[key])
    iam(world, f"ALTER TABLE users ADD COLUMN level {key} REFERENCES levels (id)")
    schema(world)
    write(settings, plan(
        settings, tmp_path, columns=f"level = {look(of='levels', by='label', where='')}",
        reverse=f"role = {look('level', of='levels', by='label', where='')}",
    ))  # fmt: skip
    ann = person(world, "ann", role="high")
    assert not [each for each in preflight()["findings"] if each["severity"] == "error"]
    run = captured(world)
    assert report(run).passed
    assert iam(world, "SELECT l.label FROM users u JOIN levels l ON l.id = u.level") == [("high",)]
    assert moved(FIRM).error == ""
    iam(world, "UPDATE users SET level = NULL WHERE id = %s", ann)
    both_loops()
    assert legacy(world, "SELECT role FROM people") == [(None,)]
    iam(world, "UPDATE users SET level = %s WHERE id = %s", values[key], ann)
    both_loops()
    assert legacy(world, "SELECT role FROM people") == [("high",)]
    assert moved(FIRM, "legacy").error == ""


@pytest.mark.parametrize("where", [
    "a.b.c.name = 'x'", "nextval('audit_logs_id_seq') > 0", "1/0 = 1", "unnest(ARRAY[true])", "count(*) > 1",
    "name = 'x' -- comment", "name LIKE '100%' AND name <> '{}' AND name <> '%s'", "set_config('role', 'x', false) IS NULL",
])  # fmt: skip
def test_an_odd_where_is_a_plan_error(world: World, settings: Any, tmp_path: Path, where: str) -> None:
    schema(world)
    write(settings, of_grants(settings, tmp_path, where=where))
    person(world, "ann", "user")
    try:
        start(by="tester")
    except PlanError:
        return


def test_no_right_to_read_it_is_said(world: World, settings: Any, tmp_path: Path) -> None:
    from tests.servers import on_server

    schema(world)
    iam(world, "CREATE TABLE levels (id int PRIMARY KEY, label text NOT NULL)")
    iam(world, "ALTER TABLE users ADD COLUMN level int")
    write(settings, plan(settings, tmp_path, columns=f"level = {look(of='levels', by='label', where='id > 0')}"))
    name = f"{world.name}_weak".lower()
    on_server(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'x'")
    try:
        from urllib.parse import urlsplit, urlunsplit

        parts = urlsplit(settings.IAM_DATABASE_URL)
        at = parts.netloc.rpartition("@")[2]
        database = parts.path.strip("/")
        iam(world, f'GRANT CREATE ON DATABASE "{database}" TO "{name}"')
        iam(world, f'GRANT SELECT ON users, tenants TO "{name}"')
        settings.IAM_DATABASE_URL = urlunsplit(parts._replace(netloc=f"{name}:x@{at}"))
        said = [each for each in preflight()["findings"] if "levels" in each["subject"]]
        assert said and "GRANT SELECT" in said[0]["todo"].upper(), said
    finally:
        with world.iam() as connection:
            connection.execute(f'DROP OWNED BY "{name}"')
        on_server(f'DROP ROLE "{name}"')


def test_an_unknown_word_and_a_known_one_again(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    write(settings, single(settings, tmp_path, world))
    ann = person(world, "ann", role="user")
    run = captured(world)
    for word, here in (("odd", 0), ("admin", 1), (None, 1), ("odd", 0), ("user", 1)):
        legacy(world, "UPDATE people SET role = %s WHERE id = %s", word, ann)
        both_loops()
        assert len(iam(world, "SELECT id FROM users")) == here, word
        assert QuarantinedRow.objects.filter(state="open").count() == 1 - here, word
    run.refresh_from_db()
    assert report(run).accounted


def test_a_role_called_selector_does_not_let_a_tenant_go_that_cannot_come_back(
    world: World, settings: Any, tmp_path: Path
) -> None:
    """Without it the cut-over is refused: see test_two_words_for_one_role_of_a_key."""
    schema(world)
    role(world, "selector")
    write(settings, of_grants(settings, tmp_path, words='boss = "admin", chief = "admin"'))
    ann = person(world, "ann", "chief")
    captured(world)
    error = moved(FIRM).error
    if not error:
        iam(world, "UPDATE user_roles SET created_at = now()")
        both_loops()
        both_loops()
    there = legacy(world, "SELECT role FROM grants WHERE person = %s ORDER BY 1", ann)
    back = moved(FIRM, "legacy").error if not error else ""
    both_loops()
    assert error, (there, "back: " + back, legacy(world, "SELECT role FROM grants"), granted(world))


def test_a_nullable_column_with_two_words_and_selector(world: World, settings: Any, tmp_path: Path) -> None:
    """chief comes back as boss when anything else of the row changes, and no lossy accepts it."""
    schema(world)
    role(world, "selector")
    write(settings, single(settings, tmp_path, world, words='boss = "admin", chief = "admin"'))
    ann = person(world, "ann", role="chief")
    captured(world)
    error = moved(FIRM).error
    if not error:
        iam(world, "UPDATE users SET username = 'anna', email = 'anna@example.org' WHERE id = %s", ann)
        both_loops()
    there = legacy(world, "SELECT role FROM people")
    assert error or there == [("chief",)], (error, there)


def test_the_plan_page_says_what_preflight_says(world: World, settings: Any, tmp_path: Path) -> None:
    from django.test import Client
    from django.urls import reverse

    schema(world)
    write(settings, of_grants(settings, tmp_path).replace('lookup = "roles"', 'lookup = "groups"'))
    person(world, "ann", "user")
    assert any("groups" in each["subject"] for each in preflight()["findings"] if each["severity"] == "error")
    user = builders.member("Administrators", username="root")
    user.is_superuser = True
    user.save()
    client = Client()
    client.force_login(user)
    from django.urls import get_resolver

    [name for name in get_resolver().reverse_dict if isinstance(name, str) and "plan" in name]
    answer = client.get(reverse("plan"))
    text = answer.content.decode()
    assert "no such table" in text


def test_a_look_up_in_what_is_read_both_ways(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    iam(world, "ALTER TABLE users ADD COLUMN role_id uuid REFERENCES roles (id)")
    legacy(world, "CREATE TABLE jobs (person uuid PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE, job text)")
    boss = "boss = 'admin'"
    job = look("(SELECT j.job FROM jobs AS j WHERE j.person = people.id)", words=boss)
    text = plan(settings, tmp_path, columns=f"role_id = {job}")
    read = f"""[tables.reads.jobs]
link = {{ person = "id" }}
[tables.reads.jobs.reverse]
person = "id"
job = {look("role_id", words="boss = 'admin'")}
"""
    head, users = text.split('secret = ["hashed_password"]\n')
    write(settings, head + 'ignored = ["role"]\nsecret = ["hashed_password"]\n' + read + users)
    ann, bob, cem = person(world, "ann"), person(world, "bob"), person(world, "cem")
    legacy(world, "INSERT INTO jobs VALUES (%s, 'boss'), (%s, 'odd')", ann, bob)
    assert not [each for each in preflight()["findings"] if each["severity"] == "error"]
    run = captured(world)
    assert report(run).passed and report(run).accounted
    roles = "SELECT u.username, r.name FROM users u LEFT JOIN roles r ON r.id = u.role_id"
    assert set(iam(world, roles)) == {("ann", "admin"), ("cem", None)}
    legacy(world, "UPDATE jobs SET job = 'user' WHERE person = %s", bob)
    legacy(world, "UPDATE jobs SET job = 'odd' WHERE person = %s", ann)
    both_loops()
    assert set(iam(world, roles)) == {("bob", "user"), ("cem", None)}
    legacy(world, "UPDATE jobs SET job = 'boss' WHERE person = %s", ann)
    both_loops()
    assert set(iam(world, roles)) == {("ann", "admin"), ("bob", "user"), ("cem", None)}
    builders.decided()
    assert moved(FIRM).error == ""
    iam(world, "UPDATE users SET role_id = (SELECT id FROM roles WHERE name = 'admin') WHERE id IN (%s, %s)", bob, cem)
    both_loops()
    assert {row[0] for row in legacy(world, "SELECT job FROM jobs")} == {"boss"} and len(
        legacy(world, "SELECT job FROM jobs")
    ) == 3
    assert moved(FIRM, "legacy").error == ""
    undo(run, by="tester", reason="x")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == "undone"


def test_two_columns_look_up_one_table(world: World, settings: Any, tmp_path: Path) -> None:
    schema(world)
    iam(
        world,
        "ALTER TABLE users ADD COLUMN role_id uuid REFERENCES roles (id), ADD COLUMN second uuid REFERENCES roles (id)",
    )
    legacy(world, "ALTER TABLE people ADD COLUMN two text")
    write(settings, plan(
        settings, tmp_path, columns=f"role_id = {look()}\nsecond = {look('lower(two)', where='')}",
        reverse=f"role = {look('role_id')}\ntwo = {look('second', where='')}",
    ))  # fmt: skip
    ann = person(world, "ann", role="user")
    bob = person(world, "bob", role="odd")
    legacy(world, "UPDATE people SET two = 'ADMIN' WHERE id = %s", ann)
    legacy(world, "UPDATE people SET two = 'odd' WHERE id = %s", bob)
    run = captured(world)
    assert report(run).passed and report(run).accounted
    error = moved(FIRM).error
    assert error, "ADMIN comes back as admin"


def test_renaming_a_role_and_giving_it_its_name_again(world: World, settings: Any, tmp_path: Path) -> None:
    """The docs: a row that was found may not get another key. A name is no key."""
    schema(world)
    write(settings, of_grants(settings, tmp_path))
    person(world, "ann", "user", "late")
    run = captured(world)
    iam(world, "UPDATE roles SET name = 'chief' WHERE name = 'admin'")
    role(world, "late")
    with pytest.raises(PlanError) as refused:
        revise(run, by="tester", reason="x")
    assert "renamed" in refused.value.what or "name" in refused.value.todo, str(refused.value) + refused.value.todo


@pytest.mark.parametrize("name", ["Verwalter neu", "Verwalter – neu"])
def test_a_role_that_is_added_to_the_iam_of_a_latin1_legacy(
    world: World, settings: Any, tmp_path: Path, name: str
) -> None:
    """The first is the control. The dash is not in LATIN1."""
    from django.db import connections

    from tests.servers import drop, on_server, url_of

    database = f"{world.name}_latin"
    on_server(f"CREATE DATABASE \"{database}\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        settings.LEGACY_DATABASE_URL = url_of(database)
        world.legacy = lambda: psycopg.connect(url_of(database), autocommit=True)  # type: ignore[method-assign]
        schema(world)
        write(settings, of_grants(settings, tmp_path))
        ann = person(world, "ann", "user")
        run = captured(world)
        assert granted(world) == {("ann", "user")}
        role(world, name)
        refused = ""
        try:
            revise(run, by="tester", reason="x")
        except Refusal as error:
            refused = str(error)
        legacy(world, "INSERT INTO grants VALUES (%s, 'admin')", ann)
        error = ""
        try:
            both_loops()
        except Exception as raised:
            error = repr(raised)
        flows = list(FlowStatus.objects.values_list("direction", "error", "entries", "retrying"))
        kept = list(QuarantinedRow.objects.values_list("reason", "detail"))
        assert granted(world) == {("ann", "user"), ("ann", "admin")}, (
            f"revise refused: {refused!r}",
            error,
            flows,
            kept,
        )
    finally:
        connections.close_all()
        drop(database)
