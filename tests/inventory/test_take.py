"""Taking an inventory."""

from migration_portal.audit.models import Event
from migration_portal.inventory.requests import take_now
from migration_portal.inventory.text import as_text
from tests.world import World


def test_an_inventory_counts_what_is_there(world: World) -> None:
    dirt = world.sample(users=500, tenants=10, rate=0.02)
    content = take_now("inventory", by="tester").content
    assert content["tables"]["users"]["rows"] == 500
    assert content["users"]["total"] == 500
    # tenants that exist, and those that users name but that do not
    assert len(content["tenants"]) == 10 + dirt.each
    assert sum(tenant["users"] for tenant in content["tenants"]) == 500
    assert content["password_schemes"]["bcrypt, cost 12"] == 500 - dirt.each
    assert sum(content["password_schemes"].values()) == 500
    assert {column["name"] for column in content["tables"]["tenants"]["columns"]} >= {"id", "slug"}
    assert "=== TENANTS" in as_text("x", content)
    assert Event.objects.get().verb == "take_inventory"
