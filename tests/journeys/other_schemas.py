"""Legacy schemas that nothing of ours was written for: their plans, rows, and how both sides compare in SQL of the tests' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import BASE_DIR
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy
from tests.world import World

EXAMPLES = BASE_DIR / "examples"
ONE = "5f0c0000-0000-4000-8000-000000000001"
TWO = "5f0c0000-0000-4000-8000-000000000002"


def organizations(world: World, *ids: str) -> None:
    for id in ids:
        iam(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, %s, %s)", id, id[-4:], id[-4:])


def users(world: World, *names: str, organization: str | None = None) -> None:
    for name in names:
        legacy(
            world, "INSERT INTO auth_user (username, email, password, organization) VALUES (%s, %s, 'x', %s)",
            name, f"{name}@example.org", organization,
        )  # fmt: skip


def differences(world: World) -> set[Any]:
    """Users that are not the same on both sides, in SQL of the test's own."""
    same = "username, email, {}, full_name, is_active, is_superuser, {}"
    there = set(legacy(world, f"SELECT {same.format('password', 'date_joined')} FROM auth_user"))
    here = set(iam(world, f"SELECT {same.format('hashed_password', 'created_at')} FROM users"))
    return there ^ here


def _use(plan: Path, settings: Any, tmp_path: Path) -> Callable[..., None]:
    """Makes it the plan, with some of its text replaced."""

    def use(*replaced: tuple[str, str]) -> None:
        text = plan.read_text()
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(text)

    return use


@pytest.fixture
def plan(world: World, settings: Any, tmp_path: Path) -> Any:
    """Make it the plan, with some of its text replaced; legacy has its table."""
    legacy(world, (EXAMPLES / "01_one_organization/legacy.sql").read_text())
    return _use(EXAMPLES / "01_one_organization/plan.toml", settings, tmp_path)


BY_ORGANIZATION = (
    ("'5f0c0000-0000-4000-8000-000000000001'::uuid", f"(CASE WHEN organization = 'two' THEN '{TWO}' ELSE '{ONE}' END)::uuid"),
    ('ignored = ["organization"]\n', ""),
    ('[tables.reverse]\n', f"[tables.reverse]\norganization = \"CASE WHEN tenant_id = '{TWO}' THEN 'two' END\"\n"),
)  # fmt: skip


def migrated(world: World) -> Run:
    run = builders.migrated(world, capture=True)
    assert report(run).passed, report(run)
    sync_tenants()
    both_loops()
    return run


TRIMMED = ('full_name = "full_name"', 'full_name = "btrim(full_name)"')
_REST = '\nis_superuser = "is_superuser"\ndate_joined'
STUCK = (
    f'is_active = "is_active"{_REST}',
    f"is_active = \"CASE WHEN full_name = 'Stuck' THEN 1 / (length(full_name) - 5) > 0 ELSE is_active END\"{_REST}",
)
ACCEPTED = ("secret =", 'lossy = ["full_name"]\nsecret =')


def person(world: World, login: str, org: str = "acme", hash: str = "h0") -> str:
    [(id,)] = legacy(
        world,
        "INSERT INTO people (login, org, mail) SELECT %s, id, %s FROM orgs WHERE code = %s RETURNING id::text",
        login,
        login,
        org,
    )
    legacy(world, "INSERT INTO credentials (person, hash) VALUES (%s, %s)", id, hash)
    return str(id)


def unlike(world: World) -> set[Any]:
    """People who are not the same on both sides, with their credentials, in SQL of the test's own."""
    there = legacy(
        world,
        "SELECT p.id, o.code, login, mail, active, coalesce(hash, '!'), totp"
        " FROM people p JOIN orgs o ON o.id = org LEFT JOIN credentials ON person = p.id",
    )
    here = iam(
        world,
        "SELECT u.id, slug, username, email, u.is_active, hashed_password, mfa_secret_encrypted"
        " FROM users u JOIN tenants t ON t.id = tenant_id",
    )
    return set(there) ^ set(here)


@pytest.fixture
def joined(world: World, settings: Any, tmp_path: Path) -> Any:
    legacy(world, (EXAMPLES / "02_people_and_credentials/legacy.sql").read_text())
    legacy(world, "INSERT INTO orgs (code, title) VALUES ('acme', 'Acme'), ('bolt', 'Bolt')")
    return _use(EXAMPLES / "02_people_and_credentials/plan.toml", settings, tmp_path)


def org(world: World, code: str) -> str:
    return str(iam(world, "SELECT id FROM tenants WHERE slug = %s", code)[0][0])


def of_keycloak(world: World) -> set[Any]:
    """Realms, people with password and phone, and their roles, that are not the same on both sides, in SQL of the test's own."""
    there = legacy(
        world, "SELECT realm.name, u.id, u.username, u.email, u.enabled, concat_ws(' ', first_name, last_name),"
        " (SELECT secret_data::json ->> 'value' FROM credential c WHERE c.user_id = u.id AND type = 'password'),"
        " (SELECT value FROM user_attribute a WHERE a.user_id = u.id AND a.name = 'phone'),"
        " (SELECT string_agg(r.name, ',' ORDER BY r.name) FROM user_role_mapping m JOIN keycloak_role r ON r.id = role_id"
        "  WHERE m.user_id = u.id)"
        " FROM user_entity u JOIN realm ON realm.id = realm_id",
    )  # fmt: skip
    here = iam(
        world, "SELECT tenants.name, u.id::text, u.username, u.email, u.is_active, u.full_name,"
        " nullif(split_part(hashed_password, '$', 5), ''), phone_number,"
        " (SELECT string_agg(r.name, ',' ORDER BY r.name) FROM user_roles m JOIN roles r ON r.id = role_id WHERE m.user_id = u.id)"
        " FROM users u JOIN tenants ON tenants.id = tenant_id",
    )  # fmt: skip
    return set(there) ^ set(here)
