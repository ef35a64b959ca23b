"""What is known of the way back before anybody goes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import DEFAULT_PLAN
from migration_portal.engine import catalog, returning
from migration_portal.plan.loader import parse
from tests import builders
from tests.world import World

_USERS = Path(DEFAULT_PLAN).read_text().partition('source = "users"')


@pytest.mark.parametrize(
    ("back", "counted"),
    [
        ("upper(full_name)", True),
        ("only_in_the_iam(full_name)", False),
        ("(SELECT t.name FROM tenants AS t WHERE t.id = tenant_id)", False),  # legacy has one of that name, too
    ],
)
def test_what_legacy_cannot_compute_is_not_counted_there(world: World, back: str, counted: bool) -> None:
    builders.legacy_tables(world)
    there, here = _USERS[2].split("[tables.reverse]", 1)
    assert 'full_name = "full_name"\n' in here
    here = here.replace('full_name = "full_name"\n', f'full_name = "{back}"\n', 1)
    plan = parse(f"{_USERS[0]}{_USERS[1]}{there}[tables.reverse]{here}")
    with world.legacy() as legacy, world.iam() as iam:
        found = returning.uncertain(legacy, plan, catalog.read(legacy, "public"), catalog.read(iam, "public"))
    assert ("full_name" in [column.name for _, columns in found for column in columns]) is counted
