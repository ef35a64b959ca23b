"""A legacy that counts its rows, and an IAM that does not: what is born there comes back with a number, and stays one row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.drafting.draft import draft_now
from migration_portal.engine import numbers
from migration_portal.inventory.preflight import preflight
from migration_portal.plan.loader import load
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.undo import undo
from migration_portal.support.find import find
from migration_portal.support.person import person
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.drafting.schemas import drafted
from tests.stack import furnished
from tests.world import World

DECIDED = (
    ('is_staff = "false" #', 'is_staff = "is_superuser" #'),
    ("# Mapped nowhere: is_staff. ", 'lossy = ["is_staff", "first_name", "last_name"]\n# '),
    ("# Mapped nowhere: content_type_id, codename.", 'lossy = ["content_type_id", "codename"]\n#'),
)


@furnished
def of_django(world: World) -> str:
    """Django's tables by a plan as it is drafted, migrated. Returns the plan's text."""
    with tempfile.TemporaryDirectory() as place:
        plan = drafted(world, "django", Path(place), *DECIDED)
        with override_settings(MIGRATION_PLAN=plan):
            assert report(builders.migrated(world, capture=True)).passed
            sync_tenants()
            both_loops()
        return plan.read_text()


@pytest.fixture
def tenant(of_django: str, settings: Any, tmp_path: Path) -> str:
    """The one tenant of all."""
    settings.MIGRATION_PLAN = tmp_path / "django.toml"
    settings.MIGRATION_PLAN.write_text(of_django)
    [row] = load(settings.MIGRATION_PLAN).rows
    return next(column.sql for column in row.columns if column.name == "id").strip("'")


def _born(world: World, tenant: str, name: str) -> str:
    """A user of the IAM's own, in the group that legacy calls 1."""
    [(id,)] = iam(
        world, "INSERT INTO users (tenant_id, username, email, hashed_password, full_name, is_active, is_superuser, created_at)"
        " VALUES (%s, %s, %s, 'x', 'Zoe Ray', true, false, now()) RETURNING id::text", tenant, name, f"{name}@example.org",
    )  # fmt: skip
    role = "(SELECT id FROM roles WHERE name = 'editors')"
    iam(world, f"INSERT INTO user_roles (user_id, role_id) VALUES (%s, {role})", id)
    return str(id)


def _unlike(world: World) -> set[Any]:
    """Users, groups and who is in which that are not the same on both sides, by their names, in SQL of the test's own."""
    there = legacy(
        world, "SELECT u.username, u.email, u.password, g.name FROM auth_user u"
        " LEFT JOIN auth_user_groups m ON m.user_id = u.id LEFT JOIN auth_group g ON g.id = m.group_id",
    )  # fmt: skip
    here = iam(
        world, "SELECT u.username, u.email, u.hashed_password, r.name FROM users u"
        " LEFT JOIN user_roles m ON m.user_id = u.id LEFT JOIN roles r ON r.id = m.role_id",
    )  # fmt: skip
    return set(there) ^ set(here)


def test_who_is_born_in_the_iam_comes_back_with_a_number_and_stays_one(world: World, tenant: str) -> None:
    assert moved(tenant).error == ""
    zoe = _born(world, tenant, "zoe")
    both_loops()
    assert moved(tenant, "legacy").error == ""
    [(number,)] = legacy(world, "SELECT id FROM auth_user WHERE username = 'zoe'")
    assert number == 301 and _unlike(world) == set()
    # Legacy's next user is another, and a change of the one that came back arrives at the row that was born.
    legacy(world, "UPDATE auth_user SET email = 'new@example.org' WHERE id = %s", number)
    legacy(
        world, "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active,"
        " date_joined) VALUES ('x', false, 'cem', 'Cem', 'Kaya', 'cem@example.org', false, true, now())",
    )  # fmt: skip
    both_loops()
    assert iam(world, "SELECT id::text, email FROM users WHERE username = 'zoe'") == [(zoe, "new@example.org")]
    assert _unlike(world) == set()


def test_support_finds_a_person_once_by_either_id(world: World, tenant: str) -> None:
    [(number, name)] = legacy(world, "SELECT id, username FROM auth_user ORDER BY id LIMIT 1")
    [(id,)] = iam(world, "SELECT id::text FROM users WHERE username = %s", name)
    for who in (name, id, str(number)):
        found, trouble = find(who)
        assert (id, trouble) in [(each.id, trouble) for each in found] and len({each.id for each in found}) == len(
            found
        )
    made = person(id)
    assert made.trouble == [] and {each["name"]: each["same"] for each in made.fields}["username"]
    zoe = _born(world, tenant, "zoe")
    assert person(zoe).trouble == [] and person(zoe).user is not None


def test_a_row_goes_to_and_fro_under_one_number(world: World, tenant: str) -> None:
    assert moved(tenant).error == ""
    zoe = _born(world, tenant, "zoe")
    for _ in range(2):
        assert moved(tenant, "legacy").error == "" and moved(tenant).error == ""
    iam(world, "UPDATE users SET email = 'again@example.org' WHERE id = %s", zoe)
    both_loops()
    assert moved(tenant, "legacy").error == ""
    assert legacy(world, "SELECT id, email FROM auth_user WHERE username = 'zoe'") == [(301, "again@example.org")]
    assert _unlike(world) == set()


def test_who_was_born_and_is_deleted_is_gone_on_both_sides(world: World, tenant: str) -> None:
    assert moved(tenant).error == ""
    zoe = _born(world, tenant, "zoe")
    both_loops()
    iam(world, "DELETE FROM user_roles WHERE user_id = %s", zoe)
    iam(world, "DELETE FROM users WHERE id = %s", zoe)
    both_loops()
    assert moved(tenant, "legacy").error == "" and _unlike(world) == set()
    assert moved(tenant).error == ""
    mia = _born(world, tenant, "mia")
    assert moved(tenant, "legacy").error == ""
    legacy(world, "DELETE FROM auth_user_groups WHERE user_id = (SELECT id FROM auth_user WHERE username = 'mia')")
    legacy(world, "DELETE FROM auth_user WHERE username = 'mia'")
    both_loops()
    assert iam(world, "SELECT count(*) FROM users WHERE id = %s", mia) == [(0,)] and _unlike(world) == set()


def test_what_broke_off_between_the_two_is_made_up_for(world: World, tenant: str, monkeypatch: Any) -> None:
    assert moved(tenant).error == ""
    _born(world, tenant, "zoe")
    kept = numbers._note

    def broken(connection: Any, numbers_of: Any, rows: Any) -> None:
        raise ConnectionError("killed")

    monkeypatch.setattr(numbers, "_note", broken)
    with pytest.raises(ConnectionError):
        both_loops()
    monkeypatch.setattr(numbers, "_note", kept)
    both_loops()
    assert moved(tenant, "legacy").error == "" and _unlike(world) == set()
    assert legacy(
        world, "SELECT count(*) FROM portal_capture.portal_numbers WHERE portal_of = 'portal_of_auth_user'"
    ) == [(1,)]


def test_a_later_run_knows_the_numbers_that_an_earlier_one_gave(world: World, tenant: str) -> None:
    assert moved(tenant).error == ""
    zoe = _born(world, tenant, "zoe")
    both_loops()
    assert moved(tenant, "legacy").error == ""
    run = Run.objects.get()
    undo(run, by="tester", reason="a test")
    builders.finish(run)
    assert iam(world, "SELECT id::text FROM users") == [(zoe,)], "what was born there is not the run's to take"
    assert report(builders.migrated(world, capture=True)).passed
    assert iam(world, "SELECT id::text FROM users WHERE username = 'zoe'") == [(zoe,)] and _unlike(world) == set()
    # And it keeps them: what has a row in legacy is not taken for a number that legacy gave to somebody else.
    both_loops()
    assert moved(tenant).error == "" and moved(tenant, "legacy").error == ""
    assert legacy(world, "SELECT id FROM auth_user WHERE username = 'zoe'") == [(301,)] and _unlike(world) == set()


def test_a_legacy_without_a_sequence_is_told_before_anybody_moves(world: World, settings: Any, tmp_path: Path) -> None:
    settings.MIGRATION_PLAN = drafted(world, "django", tmp_path, *DECIDED)
    legacy(world, "ALTER SEQUENCE auth_user_id_seq OWNED BY NONE")
    [row] = load(settings.MIGRATION_PLAN).rows
    tenant = next(column.sql for column in row.columns if column.name == "id").strip("'")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert "auth_user.id: No sequence owns it" in moved(tenant).error
    found = [each for each in preflight()["findings"] if "No sequence owns it" in each["what"]]
    assert [(each["severity"], each["subject"]) for each in found] == [("warning", "auth_user.id")]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_number_that_legacy_has_is_given_to_nobody(world: World, tenant: str, when: str) -> None:
    if when == "before":  # as after a restoration without setval
        legacy(world, "SELECT setval('auth_user_id_seq', 5)")
    assert moved(tenant).error == ""
    zoe = _born(world, tenant, "zoe")
    if when == "meanwhile":  # an explicit id, which no guard sees coming
        given = "INSERT INTO portal_capture.portal_numbers (portal_of, portal_uuid, portal_number) VALUES (%s, %s, 6)"
        legacy(world, given, "portal_of_auth_user", zoe)
        iam(world, "INSERT INTO portal_ledger.portal_numbers VALUES ('portal_of_auth_user', %s, 6)", zoe)
    both_loops()
    assert moved(tenant, "legacy").error == ""
    assert legacy(world, "SELECT username FROM auth_user WHERE id = 6") == [("user6",)]
    assert legacy(world, "SELECT count(*) FROM auth_user WHERE username = 'zoe'") == [(1,)] and _unlike(world) == set()


def test_two_schemas_that_count_from_one_are_told_apart(world: World, settings: Any, tmp_path: Path) -> None:
    people = (
        "CREATE SCHEMA {0};"
        " CREATE TABLE {0}.users (id serial PRIMARY KEY, login text NOT NULL, mail text NOT NULL, pw text NOT NULL);"
        " INSERT INTO {0}.users (login, mail, pw) VALUES ('of {0}', '{0}@example.org', 'x')"
    )
    for schema in ("a", "b"):
        legacy(world, people.format(schema))
        settings.MIGRATION_PLAN = tmp_path / f"{schema}.toml"
        settings.MIGRATION_PLAN.write_text(draft_now(schema, source_schema=schema).text)
        assert report(builders.migrated(world)).passed
    assert iam(world, "SELECT username FROM users ORDER BY 1") == [("of a",), ("of b",)]


def test_a_number_that_no_uuid_can_stand_for_is_quarantined_and_not_lost(
    world: World, settings: Any, tmp_path: Path
) -> None:
    settings.MIGRATION_PLAN = drafted(world, "django", tmp_path, *DECIDED)
    legacy(world, "INSERT INTO auth_group (id, name) VALUES (-1, 'odd')")
    assert report(builders.migrated(world)).tables["roles"].reasons == {"id_has_no_uuid": 1}


def test_a_role_that_both_sides_count_alike_stays_what_it_is(world: World, settings: Any, tmp_path: Path) -> None:
    """Legacy's first groups and the IAM's own roles, before a sequence that was never advanced."""
    settings.MIGRATION_PLAN = drafted(world, "django", tmp_path, *DECIDED)
    legacy(world, "SELECT setval('auth_group_id_seq', 1, false)")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    [(tenant,)] = iam(world, "SELECT id::text FROM tenants")
    assert moved(tenant).error == ""
    legacy(world, "UPDATE auth_group SET name = name")
    both_loops()
    assert iam(world, "SELECT count(*) FROM user_roles m JOIN roles r ON r.id = m.role_id WHERE r.name = 'admin'") == [
        (0,)
    ]
    assert moved(tenant, "legacy").error == "" and _unlike(world) == set()
