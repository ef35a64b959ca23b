"""Suspended constraints come back, and rows against them go to quarantine."""

import pytest

from migration_portal.runs.report import report
from tests import builders
from tests.engine.copy.planning import reasons
from tests.engine.unique_indexes import INDEXES, REASONS, collide, indexed
from tests.runs.constraints import constraints_of
from tests.world import World


def test_rows_that_collide_in_a_unique_index_are_settled(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users DROP CONSTRAINT uq_users_tenant_email")
    keys = sorted(builders.user(world, home, email="same@example.org") for _ in range(3))
    run = builders.migrated(world)
    assert reasons(run)["users"] == {"duplicate_tenant_id_email": 2}
    with world.iam() as iam:
        assert [str(row[0]) for row in iam.execute("SELECT id FROM users")] == keys[:1]
    assert report(run).passed


def test_constraints_are_all_back_and_valid_after_a_load(world: World) -> None:
    with world.iam() as iam:
        before = constraints_of(iam)
    world.sample()
    builders.migrated(world)
    with world.iam() as iam:
        assert constraints_of(iam) == before


def test_rows_without_a_value_are_no_duplicates_of_each_other(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users DROP CONSTRAINT uq_users_tenant_email")
    for email in (None, None, "same@example.org", "same@example.org"):
        builders.user(world, home, email=email)
    run = builders.migrated(world)
    assert reasons(run)["users"] == {"duplicate_tenant_id_email": 1}


def test_a_row_removed_as_a_duplicate_is_looked_up_again(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users DROP CONSTRAINT uq_users_tenant_email")
    keys = sorted(builders.user(world, home, email="same@example.org") for _ in range(2))
    builders.migrated(world, capture=True)
    with world.legacy() as legacy:
        assert legacy.execute("SELECT key FROM portal_capture.queue").fetchall() == [([keys[1]],)]


@pytest.mark.parametrize("kind", INDEXES)
def test_rows_that_collide_in_an_index_over_more_than_columns_are_settled(world: World, kind: str) -> None:
    builders.legacy_tables(world)
    indexed(world, kind)
    one, second, third, *others = collide(world, builders.tenant(world), kind)
    run = builders.migrated(world)
    assert reasons(run)["users"] == {REASONS[kind]: 2}
    with world.iam() as iam:
        assert {str(row[0]) for row in iam.execute("SELECT id FROM users")} == {one, *others} - {second, third}
        assert iam.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'one\\_%'").fetchone() == (1,)
    assert report(run).passed
