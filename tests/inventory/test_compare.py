"""Comparing two inventories."""

from migration_portal.inventory.compare import compare
from migration_portal.inventory.requests import take_now
from tests.world import World


def test_schema_drift_is_found(world: World) -> None:
    world.sample()
    before = take_now("inventory", by="tester").content
    with world.legacy() as legacy:
        legacy.execute(
            "ALTER TABLE users ADD COLUMN nickname text; ALTER TABLE tenants ALTER COLUMN slug TYPE varchar(120)"
        )
        legacy.execute("CREATE TABLE more (id int)")
        legacy.execute("DELETE FROM licenses")
    changes = compare(before, take_now("inventory", by="tester").content)
    assert [(c.subject, c.what) for c in changes if c.drift] == [
        ("more", "The table is new."),
        ("tenants.slug", "character varying(100) became character varying(120)."),
        ("users.nickname", "The column is new (text)."),
    ]
    assert ("licenses", "400 rows became 0.") in [(c.subject, c.what) for c in changes]
