"""Taking an inventory."""

from pathlib import Path
from typing import Any

import pytest

from migration_portal.audit.models import Event
from migration_portal.inventory.requests import take_now
from migration_portal.inventory.text import as_text
from tests.drafting.schemas import drafted
from tests.world import World


def test_an_inventory_counts_what_is_there(world: World) -> None:
    dirt = world.sample(users=500, tenants=10, rate=0.02)
    content = take_now("inventory", by="tester").content
    assert content["tables"]["users"]["rows"] == 500
    assert content["users"]["total"] == 500
    # tenants that exist, and those that users name but that do not
    assert len(content["tenants"]) == 10 + dirt.each
    assert sum(tenant["exists"] for tenant in content["tenants"]) == 10
    assert sum(tenant["users"] for tenant in content["tenants"]) == 500
    assert content["password_schemes"]["bcrypt, cost 12"] == 500 - dirt.each
    assert sum(content["password_schemes"].values()) == 500
    assert {column["name"] for column in content["tables"]["tenants"]["columns"]} >= {"id", "slug"}
    assert "=== TENANTS" in as_text("x", content)
    assert Event.objects.get().verb == "take_inventory"


@pytest.mark.parametrize(
    ("schema", "tenants", "scheme"),
    [
        ("django", {"Our organization": 300}, "pbkdf2"),
        ("keycloak", {"realm1": 100, "realm2": 100, "realm3": 100}, "pbkdf2"),
    ],
)
def test_users_and_tenants_are_those_of_the_plan(
    world: World, schema: str, tenants: dict[str, int], scheme: str, settings: Any, tmp_path: Path
) -> None:
    settings.MIGRATION_PLAN = drafted(world, schema, tmp_path)
    content = take_now("inventory", by="tester").content
    assert content["users"]["total"] == content["users"]["active"] == 300
    assert {tenant["name"]: tenant["users"] for tenant in content["tenants"]} == tenants
    assert content["password_schemes"] == {scheme: 300}
    assert "=== TENANTS" in as_text("x", content)


def test_a_plan_of_tables_that_are_not_there_leaves_an_inventory_of_what_is(world: World) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE weather (id int PRIMARY KEY)")
    content = take_now("inventory", by="tester").content
    assert list(content["tables"]) == ["weather"] and content["users"] == {} and content["tenants"] == []
