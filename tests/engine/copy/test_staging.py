"""The careful copy: bad rows are taken out one by one, and only those."""

from pathlib import Path

import pytest
from django.conf import settings
from psycopg.sql import SQL, Literal

from migration_portal.engine.copy.staging import copy_rows
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from tests import builders
from tests.engine.copy.planning import builders_until_copy, reasons
from tests.engine.unique_indexes import INDEXES, REASONS, collide, indexed
from tests.world import World


def plan_without(tmp_path: Path, *lines: str, add: str = "") -> Path:
    """The default plan, minus the lines that begin with one of these, plus a table expression."""
    text = Path(settings.MIGRATION_PLAN).read_text()
    kept = [line for line in text.splitlines() if not line.startswith(lines)] if lines else text.splitlines()
    path = tmp_path / "plan.toml"
    path.write_text("\n".join(kept).replace('full_name = "full_name"', add or 'full_name = "full_name"', 1))
    return path


def test_an_expression_that_fails_on_some_rows_sets_only_those_aside(world: World, tmp_path: Path) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    good = [builders.user(world, home, full_name="10") for _ in range(40)]
    bad = builders.user(world, home, full_name="zero")
    plan = plan_without(tmp_path, add='full_name = "(100 / full_name::int)::text"')
    run = builders.migrated(world, plan_path=plan)
    assert reasons(run)["users"] == {"cannot_be_mapped": 1}
    row = QuarantinedRow.objects.get(table_name="users")
    assert row.source_key == [bad]
    assert "invalid input syntax for type integer" in row.detail
    assert report(run).tables["users"].copied == len(good)


def test_a_value_too_long_for_the_iam_is_refused_and_never_cut(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, home)
    long = builders.user(world, home)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users ALTER COLUMN hashed_password TYPE text")
        legacy.execute("UPDATE users SET hashed_password = repeat('n', 256) WHERE id = %s", [long])
    run = builders.migrated(world)
    assert QuarantinedRow.objects.get(table_name="users").source_key == [long]
    assert reasons(run) == {"users": {"cannot_be_mapped": 1}, "user_roles": {"missing_users": 1}}


def test_a_check_of_the_iam_sets_the_row_aside(world: World) -> None:
    builders.legacy_tables(world)
    home, other = builders.tenant(world), builders.tenant(world)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE tenant_settings DROP CONSTRAINT tenant_settings_min_password_length_check")
        legacy.execute(
            "INSERT INTO tenant_settings (tenant_id, min_password_length) VALUES (%s, 3), (%s, 12)", [home, other]
        )
    run = builders.migrated(world)
    assert reasons(run) == {"tenant_settings": {"cannot_be_mapped": 1}}
    assert "min_password_length_check" in QuarantinedRow.objects.get().detail


def test_two_ids_that_are_one_uuid_keep_one_row_without_a_rule_for_it(world: World, tmp_path: Path) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    key = builders.user(world, home)
    builders.user(world, home, id=key.upper())
    run = builders.migrated(world, plan_path=plan_without(tmp_path, "duplicate_key"))
    assert reasons(run) == {"users": {"duplicate_key": 1}, "user_roles": {"duplicate_key": 1}}
    assert report(run).passed


def test_collisions_in_a_table_in_use_are_quarantined(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'x', 'x')", [home])
        iam.execute(
            "INSERT INTO users (tenant_id, email, username, hashed_password) VALUES (%s, 'a@b.c', 'native', 'h')",
            [home],
        )
    builders.user(world, home, email="a@b.c")
    fine = builders.user(world, home)
    orphan = builders.user(world, "00000000-0000-4000-8000-00000000dead")
    run = builders.migrated(world)
    found = {row.source_key[0]: row.reason for row in QuarantinedRow.objects.filter(table_name="users")}
    assert found.pop(orphan) == "missing_tenants"
    assert list(found.values()) == ["duplicate_tenant_id_email"]
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users WHERE id = %s", [fine]).fetchone() == (1,)
    assert report(run).accounted


def test_a_careful_copy_before_its_parents_arrive_sets_no_orphans_aside(world: World) -> None:
    dirt = world.sample()
    run = start(by="tester")
    builders_until_copy(run)
    with open_transfer(run, "test") as transfer, transfer.target.transaction():
        outcome = copy_rows(transfer, transfer.table("users"), SQL("true"))
    rejected = dirt.quarantined()["users"]
    assert outcome.quarantined == sum(rejected.values()) - rejected["missing_tenants"]


def test_rows_without_a_value_do_not_collide_in_a_table_in_use(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'x', 'x')", [home])
        iam.execute("INSERT INTO users (tenant_id, username, hashed_password) VALUES (%s, 'native', 'h')", [home])
    for _ in range(2):
        builders.user(world, home, email=None)
    run = builders.migrated(world)
    assert reasons(run) == {}
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users WHERE email IS NULL").fetchone() == (3,)


def test_two_ids_that_are_one_uuid_in_two_chunks_keep_the_row_of_the_first(world: World, tmp_path: Path) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    key = builders.user(world, home, full_name="first")
    builders.user(world, home, id=key.upper(), full_name="second")
    run = start(by="tester", plan_path=plan_without(tmp_path, "duplicate_key"))
    builders_until_copy(run)
    with open_transfer(run, "test") as transfer:
        for name, quarantined in (("first", 0), ("second", 1)):
            with transfer.target.transaction():
                where = SQL("full_name = {}").format(Literal(name))
                assert copy_rows(transfer, transfer.table("users"), where).quarantined == quarantined
        assert transfer.target.execute("SELECT full_name FROM users").fetchall() == [("first",)]


@pytest.mark.parametrize("kind", INDEXES)
def test_rows_that_collide_in_an_index_over_more_than_columns_stay_out_of_a_table_in_use(
    world: World, kind: str
) -> None:
    builders.legacy_tables(world)
    indexed(world, kind)
    home = builders.tenant(world)
    early = builders.user(world, home, id="00000000-0000-4000-8000-000000000009", full_name="Zoe", is_active=False)
    builders.migrated(world)
    one, _, _, *others = collide(world, home, kind)
    run = builders.migrated(world)
    assert reasons(run)["users"] == {REASONS[kind]: 2}
    with world.iam() as iam:
        assert {str(row[0]) for row in iam.execute("SELECT id FROM users")} == {one, early, *others}


@pytest.mark.parametrize("kind", INDEXES)
def test_a_row_of_the_iam_that_collides_in_such_an_index_keeps_its_place(world: World, kind: str) -> None:
    builders.legacy_tables(world)
    indexed(world, kind)
    home = builders.tenant(world)
    first, *later = collide(world, home, kind)
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE away AS SELECT * FROM users WHERE id = ANY(%s)", [later])
        legacy.execute("DELETE FROM users WHERE id = ANY(%s)", [later])
    builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("INSERT INTO users SELECT * FROM away")
    run = builders.migrated(world)
    assert reasons(run)["users"] == {REASONS[kind]: 2}
    with world.iam() as iam:
        assert {str(row[0]) for row in iam.execute("SELECT id FROM users")} == {first, *later[2:]}
