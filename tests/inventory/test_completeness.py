"""Pre-flight counts exactly what a run will quarantine."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from psycopg.sql import SQL

from migration_portal.engine import catalog
from migration_portal.plan import compile
from migration_portal.plan.loader import load
from migration_portal.runs.models import QuarantinedRow
from tests import builders
from tests.engine.copy.planning import reasons, with_rules
from tests.engine.unique_indexes import INDEXES, REASONS, collide, indexed
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
    for name, counts in dirt.quarantined().items():
        assert tables[name]["total"] - tables[name]["mappable"] == sum(counts.values()), name
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
    assert {name: sum(each.values()) for name, each in found.items() if each} == real


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


@pytest.mark.parametrize("kind", INDEXES)
def test_what_collides_in_an_index_over_more_than_columns_is_foretold(world: World, kind: str) -> None:
    builders.legacy_tables(world)
    indexed(world, kind)
    collide(world, builders.tenant(world), kind)
    found = foretold()["users"]
    real = reasons(builders.migrated(world))["users"]
    assert found == {REASONS[kind]: 2} == real


def test_a_column_of_the_iam_that_knows_no_capitals_is_foretold(world: World) -> None:
    builders.legacy_tables(world)
    with world.iam() as iam:
        iam.execute("CREATE EXTENSION citext")
        iam.execute("ALTER TABLE users ALTER COLUMN email TYPE citext")
    collide(world, builders.tenant(world), "lower")
    found = foretold()["users"]
    real = reasons(builders.migrated(world))["users"]
    assert found == {"duplicate_tenant_id_email": 2} == real


def test_an_index_that_legacy_cannot_compute_is_said_not_to_be_foretold(world: World) -> None:
    builders.legacy_tables(world)
    with world.iam() as iam:
        iam.execute("CREATE FUNCTION folded(text) RETURNS text IMMUTABLE RETURN lower($1)")
        iam.execute("CREATE UNIQUE INDEX one_email ON users (tenant_id, folded(email))")
    collide(world, builders.tenant(world), "lower")
    [finding] = [each for each in preflight()["findings"] if each["subject"] == "users: one_email"]
    assert finding["what"] == "Which rows collide in this unique index is not foretold."
    builders.migrated(world)
    assert QuarantinedRow.objects.filter(reason="duplicate_tenant_id_email").count() == 2


LOOKING = """
same_person = "EXISTS (SELECT FROM users AS o WHERE lower(o.email) = lower(users.email) AND o.id < users.id)"
of_nobody = "username LIKE 'x%' AND NOT EXISTS (SELECT FROM tenants AS t WHERE t.id = users.tenant_id AND t.is_active)"
known = "users.id::uuid IN (SELECT o.id::uuid FROM users AS o WHERE o.id ~ '^[0-9a-f-]{36}$' AND o.username = 'known')"
"""


def test_rules_that_look_into_tables_name_what_they_are_foretold_to(
    world: World, settings: Any, tmp_path: Path
) -> None:
    builders.legacy_tables(world)
    settings.MIGRATION_PLAN = with_rules(tmp_path, LOOKING)
    home, shut = builders.tenant(world), builders.tenant(world, is_active=False)
    for email, name in (("a@x.org", "a"), ("A@x.org", "b"), ("c@x.org", "known"), ("d@x.org", "d")):
        builders.user(world, home, email=email, username=name)
    builders.user(world, shut, email="e@x.org", username="xe")
    builders.user(world, home, id="no uuid", email="A@X.org", username="f")
    found = foretold()["users"]
    real = reasons(builders.migrated(world))["users"]
    assert found == {"id_not_uuid": 1, "same_person": 1, "of_nobody": 1, "known": 1} == real


def test_a_rule_that_looks_into_a_table_is_no_look_for_every_row(world: World, settings: Any, tmp_path: Path) -> None:
    world.sample(users=2000)
    settings.MIGRATION_PLAN = with_rules(tmp_path, LOOKING)
    plan = load(settings.MIGRATION_PLAN)
    table = plan.table("users")
    with world.legacy() as legacy, world.iam() as iam:
        legacy.execute("ANALYZE")
        info, everybody = catalog.read(iam, "public")["users"], SQL("true")
        for statement in (
            compile.mapped(plan, table, info, where=everybody),
            compile.rejections(plan, table, everybody),
        ):
            planned = "\n".join(row[0] for row in legacy.execute(SQL("EXPLAIN ") + statement))
            assert "lower((o.email)" in planned and "EXISTS(SubPlan" not in planned


def test_a_parent_that_the_iam_has_by_hand_is_not_foretold_as_missing(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, "00000000-0000-4000-8000-0000000000aa")
    builders.user(world, "00000000-0000-4000-8000-0000000000bb")
    world.sql(
        "iam", "INSERT INTO tenants (id, name, slug) VALUES ('00000000-0000-4000-8000-0000000000aa', 'By hand', 'hand')"
    )
    [users] = [each for each in preflight()["completeness"] if each["table"] == "users"]
    foretold = {rule["rule"]: rule["count"] for rule in users["rejected"]}
    assert foretold == {"missing_tenants": 1}
    assert reasons(builders.migrated(world))["users"] == foretold
