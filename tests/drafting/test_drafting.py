"""A drafted plan, from what a database shows to a dry run that passes."""

from __future__ import annotations

import tomllib
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.settings import BASE_DIR
from iam import passwords
from migration_portal.drafting.draft import draft_now
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.loader import load, parse
from migration_portal.refusal import Refusal
from migration_portal.runs.report import report
from tests import builders
from tests.drafting.schemas import drafted, fill
from tests.world import World

EXAMPLES = BASE_DIR / "examples"


def _fill(world: World, *files: Path) -> None:
    with world.legacy() as legacy:
        for file in files:
            legacy.execute(file.read_bytes())


def _example(world: World, name: str) -> None:
    _fill(world, EXAMPLES / name / "legacy.sql", EXAMPLES / name / "rows.sql")


def _mapped(plan: Any) -> dict[tuple[str, str, str], str]:
    return {
        (table.source, table.target, column.name): column.sql
        for table in plan.tables
        for column in table.columns
        if not column.default
    }


@pytest.mark.parametrize("name", ["01_one_organization", "02_people_and_credentials"])
def test_a_draft_of_an_example_maps_what_its_author_mapped(world: World, name: str) -> None:
    _example(world, name)
    by_hand, ours = _mapped(load(EXAMPLES / name / "plan.toml")), _mapped(parse(draft_now("drafted").text))
    assert by_hand.keys() <= ours.keys() | {("auth_user", "users", "organization")}


def test_a_draft_of_the_documented_schema_says_what_the_shipped_plan_says(world: World, settings: Any) -> None:
    world.sample()
    shipped, ours = _mapped(load(settings.MIGRATION_PLAN)), _mapped(parse(draft_now("drafted").text))
    same = [place for place, sql in shipped.items() if ours.get(place) == sql]
    decided = {"user_roles": "of a flag", "last_login": "legacy has two", "last_login_at": "the same"}
    assert [place for place in shipped if place not in same and not {*place} & decided.keys()] == []


@pytest.mark.parametrize(
    ("schema", "tables"),
    [
        ("django", {"auth_user": "users", "auth_group": "roles", "auth_user_groups": "user_roles", "auth_permission": "permissions",
                    "auth_group_permissions": "role_permissions"}),
        ("keycloak", {"realm": "tenants", "user_entity": "users", "keycloak_role": "roles", "user_role_mapping": "user_roles"}),
    ],
)  # fmt: skip
def test_tables_are_found_by_what_they_mean(world: World, schema: str, tables: dict[str, str]) -> None:
    fill(world, schema)
    assert {table.source: table.target for table in draft_now("drafted").draft.tables} == tables


@pytest.mark.parametrize("schema", ["django", "keycloak"])
def test_a_draft_of_a_common_schema_passes_a_dry_run_as_it_is(
    world: World, schema: str, tmp_path: Path, settings: Any
) -> None:
    settings.MIGRATION_PLAN = drafted(world, schema, tmp_path)
    assert [each for each in preflight()["findings"] if each["severity"] == "error"] == []
    told = report(builders.migrated(world, dry_run=True))
    assert told.passed and told.accounted
    assert told.tables["users"].copied == 300 and not told.tables["users"].reasons


def test_a_password_in_two_columns_of_json_is_put_together(world: World, tmp_path: Path, settings: Any) -> None:
    settings.MIGRATION_PLAN = drafted(world, "keycloak", tmp_path)
    assert report(builders.migrated(world)).passed
    with world.iam() as iam:
        hashes = [row[0] for row in iam.execute("SELECT hashed_password FROM users")]
    assert all(each.startswith("$pbkdf2-sha256$27500$AAECAwQFBgcICQoLDA0ODw==$") for each in hashes)


def test_values_that_have_a_name_each_are_found_by_it(world: World) -> None:
    fill(world, "keycloak")
    phone = next(
        sql for (_, _, name), sql in _mapped(parse(draft_now("drafted").text)).items() if name == "phone_number"
    )
    assert "r.name = 'phone'" in phone


def test_every_line_says_how_certain_it_is_and_why(world: World) -> None:
    _example(world, "02_people_and_credentials")
    text = draft_now("drafted").text
    assert 'email = "mail" # 90% · what its name means' in text
    assert "# Mapped nowhere: changed." in text


def test_a_line_that_somebody_should_look_at_says_so(world: World) -> None:
    fill(world, "django")
    assert "resource = \"''\" # LOOK 20% · it must be filled" in draft_now("drafted").text


def test_a_table_that_is_like_nothing_stays_behind_and_is_named(world: World) -> None:
    fill(world, "django")
    made = draft_now("drafted")
    assert made.draft.left == {"django_session": "nothing of the IAM is like it"}
    assert "# django_session stays behind: nothing of the IAM is like it." in made.text


def test_names_that_must_be_quoted_are(world: World) -> None:
    with world.legacy() as legacy:
        legacy.execute(
            'CREATE TABLE "user" (id uuid PRIMARY KEY, "Login" text NOT NULL, "order" text, "group" text NOT NULL)'
        )
        legacy.execute("INSERT INTO \"user\" VALUES (gen_random_uuid(), 'ann', 'first', 'ann@example.org')")
    mapped = _mapped(parse(draft_now("drafted").text))
    assert mapped["user", "users", "username"] == '"Login"' and mapped["user", "users", "email"] == '"group"'


def test_no_value_of_a_secret_column_stands_in_a_draft(world: World) -> None:
    with world.legacy() as legacy:
        legacy.execute(
            "CREATE TABLE users (id uuid PRIMARY KEY, login text NOT NULL, password text NOT NULL, status text NOT NULL)"
        )
        legacy.execute(
            "INSERT INTO users SELECT gen_random_uuid(), 'u' || n, 'open sesame', 'A' FROM generate_series(1, 9) AS n"
        )
    assert "sesame" not in draft_now("drafted").text


def test_an_empty_database_is_told_apart_from_one_that_is_like_nothing(world: World) -> None:
    with pytest.raises(Refusal, match="has no tables"):
        draft_now("drafted")
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE weather (id bigint PRIMARY KEY, rain numeric)")
    with pytest.raises(Refusal, match="No table is like one of the IAM's"):
        draft_now("drafted")


def test_the_terminal_writes_the_draft_and_says_what_is_next(world: World, tmp_path: Path) -> None:
    _example(world, "01_one_organization")
    out, path = StringIO(), tmp_path / "mine.toml"
    call_command("portal", "draft_plan", str(path), stdout=out)
    assert tomllib.loads(path.read_text())["name"] == "mine"
    assert "auth_user" in out.getvalue() and "0 errors" in out.getvalue()
    assert f"MIGRATION_PLAN={path} manage.py portal preflight" in out.getvalue()


def test_a_file_that_is_there_is_not_written_over(world: World, tmp_path: Path) -> None:
    _example(world, "01_one_organization")
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    with pytest.raises(CommandError, match="It is there already. Name another file, or add --replace."):
        call_command("portal", "draft_plan", str(path))
    assert path.read_text() == "precious"
    call_command("portal", "draft_plan", str(path), "--replace", stdout=StringIO())
    assert "precious" not in path.read_text()


def test_djangos_hashes_keep_the_name_that_django_wants(world: World) -> None:
    fill(world, "django")
    text = draft_now("drafted").text
    assert """CASE WHEN password LIKE 'bcrypt$$2%' THEN substr(password, 8) ELSE password END""" in text
    assert """CASE WHEN hashed_password LIKE '$2%' THEN 'bcrypt$' || hashed_password ELSE hashed_password END""" in text


def test_aspnet_identitys_people_sign_in_by_a_draft(world: World, settings: Any, tmp_path: Path) -> None:
    _example(world, "06_aspnet_identity")
    text = draft_now("drafted").text
    assert {(t.source, t.target) for t in parse(text).tables} == {
        ("AspNetRoles", "roles"), ("AspNetUsers", "users"), ("AspNetUserRoles", "user_roles"),
    }  # fmt: skip
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)
    assert report(builders.migrated(world)).passed
    with world.iam() as iam:
        hashes = {row[0] for row in iam.execute("SELECT hashed_password FROM users")}
    assert len(hashes) == 3 and all(passwords.verify("sample-password-0", each) for each in hashes)


def test_who_is_switched_off_in_legacy_is_not_switched_on_by_a_draft(world: World) -> None:
    columns = "login varchar(50) UNIQUE NOT NULL, password_hash varchar(60) NOT NULL, email varchar(191) UNIQUE"
    more = "activated boolean NOT NULL, lang_key varchar(10), activation_key varchar(20), created_date timestamp"
    with world.legacy() as legacy:
        legacy.execute(f"CREATE TABLE jhi_user (id bigserial PRIMARY KEY, {columns}, {more})")
    [table] = draft_now("drafted").draft.tables
    lines = {line.name: line for line in table.lines}
    assert lines["is_active"].sql == "activated" and {"created_at", "preferred_language"} <= lines.keys()
    assert "activation_key" in table.secret
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE jhi_user RENAME activated TO trusted")
    text = draft_now("drafted").text
    assert "is_active = true # LOOK 30% · nothing of legacy's is known to say who is switched off" in text.replace(
        '"', ""
    )


def test_what_is_enabled_of_a_second_factor_is_not_the_account(world: World) -> None:
    people = "CREATE TABLE people (id uuid PRIMARY KEY, login text NOT NULL UNIQUE, mail text, password text NOT NULL)"
    codes = "CREATE TABLE user_mfa (person uuid PRIMARY KEY REFERENCES people, secret text NOT NULL, enabled boolean NOT NULL)"
    with world.legacy() as legacy:
        legacy.execute(f"{people}; {codes}")  # type: ignore[arg-type]
        legacy.execute(
            "INSERT INTO people SELECT gen_random_uuid(), 'p' || n, NULL, '!' FROM generate_series(1, 9) AS n"
        )
        legacy.execute("INSERT INTO user_mfa SELECT id, 'JBSWY3DPEHPK3PXP', login > 'p5' FROM people")
    [users] = [table for table in draft_now("drafted").draft.tables if table.target == "users"]
    lines = {line.name: line for line in users.lines}
    assert lines["is_active"].sql == "true" and lines["is_active"].certainty < 0.5
    assert "r.enabled" in lines["mfa_enabled"].sql and "r.secret" in lines["mfa_secret_encrypted"].sql


def test_whether_there_are_one_time_codes_is_no_secret_of_theirs(world: World) -> None:
    world.sql(
        "legacy",
        "CREATE TABLE people (id uuid PRIMARY KEY, login text NOT NULL, mail text, totp text)",
        "INSERT INTO people SELECT gen_random_uuid(), 'p' || n, 'p' || n || '@example.org', (n < 5)::text"
        " FROM generate_series(1, 9) AS n",
    )
    [people] = draft_now("whose codes").draft.tables
    assert "mfa_secret_encrypted" not in {line.name for line in people.lines} and "totp" in people.unmapped


def test_people_of_a_second_table_are_seen_as_such(world: World) -> None:
    rest = "mail text, password_hash text NOT NULL, org_id uuid NOT NULL REFERENCES organisations"
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE organisations (id uuid PRIMARY KEY, name text NOT NULL)")
        for name in ("employees", "clients"):
            legacy.execute(f"CREATE TABLE {name} (id uuid PRIMARY KEY, login text NOT NULL UNIQUE, {rest})")  # type: ignore[arg-type]
    drafted = draft_now("drafted").draft
    assert {table.target for table in drafted.tables} == {"tenants", "users"}
    [why] = [why for name, why in drafted.left.items() if name in ("employees", "clients")]
    assert "a view of both can fill users" in why
