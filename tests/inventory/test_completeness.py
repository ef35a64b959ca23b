"""Pre-flight counts exactly what a run will quarantine."""

from tests.inventory.findings import preflight
from tests.world import World


def test_preflight_foretells_exactly_what_a_run_sets_aside(world: World) -> None:
    dirt = world.sample(users=1200, tenants=12, rate=0.02)
    tables = {table["table"]: table for table in preflight()["completeness"]}
    for name, reasons in dirt.quarantined().items():
        assert tables[name]["total"] - tables[name]["mappable"] == sum(reasons.values()), name
    quality = {rule["rule"]: rule["count"] for rule in tables["users"]["quality"]}
    assert quality == dirt.quality()
    assert all(rule["sample"] for rule in tables["users"]["quality"])
