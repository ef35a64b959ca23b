"""Legacy systems and waves for what a stranger tried after the copy: few people, odd teams, a wave that is half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from migration_portal.cutover import waves
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.cutover.move import move
from migration_portal.cutover.movers import Mover
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.attack.test_later_phases import TEAMS, TEAMS_PLAN
from tests.cutover.moves import both_loops, iam, legacy
from tests.journeys.other_schemas import (
    BY_ORGANIZATION,
    ONE,
    TWO,
    migrated,
    organizations,
    users,
)
from tests.journeys.other_schemas import plan as plan
from tests.journeys.other_schemas import unlike as unlike_people
from tests.journeys.test_examples import DJANGO, of_companies, of_django
from tests.journeys.test_views import unlike as unlike_staff
from tests.world import World


def result(made: Any, name: str) -> dict[str, Any]:
    return next(each for each in made.results if each["name"] == name)


def teams(world: World, settings: Any, place: Path, *titles: str) -> list[str]:
    """People of as many teams as there are titles, one each; teams are counted. Returns the teams' ids in the IAM."""
    head = TEAMS.split("INSERT INTO teams")[0]
    legacy(world, head)
    for number, title in enumerate(titles, start=1):
        legacy(world, "INSERT INTO teams (title) VALUES (%s)", title)
        legacy(world, "INSERT INTO people (team, login, mail) VALUES (%s, %s, %s)",
               number, f"p{number}", f'{{"a": "p{number}@example.org"}}')  # fmt: skip
    settings.MIGRATION_PLAN = place / "plan.toml"
    settings.MIGRATION_PLAN.write_text(TEAMS_PLAN.replace('slug = "title"', 'slug = "title || id::text"'))
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    sync_tenants()
    both_loops()
    return [row[0] for row in iam(world, "SELECT id::text FROM tenants ORDER BY id")]


def waved(world: World, plan: Any, *, guarded: bool) -> Wave:
    """Two tenants in a wave, of which the first has moved."""
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    wave = waves.plan("w", {"kind": "share", "percent": 100}, by="otto", guarded=guarded, at_once=1)
    waves.start(wave, by="otto")
    return wave


def first_moved() -> None:
    """The first of the moves under way is made."""
    first, mover = Cutover.objects.under_way().order_by("id").first(), Mover()
    assert first is not None
    move(first, mover)
    mover.close()
    first.refresh_from_db()
    assert first.state == "done", first.error


def born(world: World, tenant: str, name: str, **more: Any) -> str:
    row = {"tenant_id": tenant, "username": name, "email": f"{name}@example.org", "hashed_password": "$2b$12$x",
           "full_name": "Zoe Ray", "is_active": True, "is_superuser": False} | more  # fmt: skip
    [(id,)] = iam(world, f"INSERT INTO users ({', '.join(row)}, created_at) VALUES ({', '.join(['%s'] * len(row))}, now())"
                         " RETURNING id::text", *row.values())  # fmt: skip
    return str(id)


LADDERS = {
    "02_people_and_credentials": (unlike_people, "SELECT id::text FROM orgs ORDER BY code LIMIT 1"),
    "04_django": (of_django, f"SELECT '{DJANGO}'"),
    "05_roles_by_name": (of_companies, "SELECT id::text FROM companies ORDER BY short LIMIT 1"),
    "07_staff_and_customers": (unlike_staff, "SELECT id::text FROM firms ORDER BY code LIMIT 1"),
}
