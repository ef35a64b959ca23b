"""Pre-flight counts exactly what a run will quarantine."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from migration_portal.runs.models import QuarantinedRow
from tests import builders
from tests.inventory.findings import preflight
from tests.world import World

HASH = 'hashed_password = "CASE WHEN username IS NOT NULL THEN hashed_password END"'


def foretold() -> dict[str, dict[str, int]]:
    """table → reason → rows."""
    return {
        table["table"]: {rule["rule"]: rule["count"] for rule in table["rejected"]}
        for table in preflight()["completeness"]
    }


def test_preflight_foretells_exactly_what_a_run_sets_aside(world: World) -> None:
    dirt = world.sample(users=1200, tenants=12, rate=0.02)
    tables = {table["table"]: table for table in preflight()["completeness"]}
    for name, reasons in dirt.quarantined().items():
        assert tables[name]["total"] - tables[name]["mappable"] == sum(reasons.values()), name
    quality = {rule["rule"]: rule["count"] for rule in tables["users"]["quality"]}
    assert quality == dirt.quality()
    assert all(rule["sample"] for rule in tables["users"]["quality"])


def narrow(world: World) -> None:
    with world.iam() as iam:
        iam.execute("ALTER TABLE tenants ALTER COLUMN slug TYPE varchar(100)")


def test_values_that_do_not_fit_and_their_children_are_foretold(world: World, settings: Any, tmp_path: Path) -> None:
    builders.legacy_tables(world)
    narrow(world)
    home = builders.tenant(world, name="long")
    other = builders.tenant(world)
    builders.user(world, home)
    builders.user(world, other, username=None, email="has@no.name")
    builders.user(world, other, username="twice")
    builders.user(world, other, username="TWICE")
    builders.user(world, str(uuid.uuid4()))
    builders.licence(world, other, license_key="twice")
    text = Path(settings.MIGRATION_PLAN).read_text()
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(
        text.replace('slug = "slug"', "slug = \"CASE name WHEN 'long' THEN repeat('x', 400) ELSE lower(slug) END\"", 1)
        .replace('hashed_password = "hashed_password"', HASH, 1)
    )  # fmt: skip
    found = foretold()
    assert found["tenants"] == {"slug_too_long": 1}
    assert found["users"] == {"hashed_password_null": 1, "missing_tenants": 2}
    builders.migrated(world)
    real = Counter(QuarantinedRow.objects.values_list("table_name", flat=True))
    assert {name: sum(reasons.values()) for name, reasons in found.items() if reasons} == real


def test_the_advice_names_the_column_its_room_and_the_longest_value(
    world: World, settings: Any, tmp_path: Path
) -> None:
    builders.legacy_tables(world)
    narrow(world)
    builders.tenant(world)
    text = Path(settings.MIGRATION_PLAN).read_text()
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text.replace('slug = "slug"', "slug = \"repeat('x', 400)\"", 1))
    [rule] = preflight()["completeness"][0]["rejected"]
    assert "slug has room for 100 characters, the longest value has 400" in rule["advice"] and len(rule["sample"]) == 1


def test_unique_columns_of_the_iam_are_foretold_where_legacy_has_none(world: World) -> None:
    builders.legacy_tables(world)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE tenants DROP CONSTRAINT IF EXISTS tenants_slug_key")
        legacy.execute("DROP INDEX IF EXISTS tenants_slug_key")
    for _ in range(3):
        builders.tenant(world, slug="same")
    found = foretold()["tenants"]
    builders.migrated(world)
    assert found == {"duplicate_slug": 2} == Counter(QuarantinedRow.objects.values_list("reason", flat=True))
