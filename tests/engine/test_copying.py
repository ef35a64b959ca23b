"""Chunks that meet bad rows: what a query can name is named, what none foresaw is found by bisecting."""

import itertools
from pathlib import Path

import pytest
from django.conf import settings
from psycopg.sql import SQL

from migration_portal.engine import ledger
from migration_portal.engine.copying import copy_chunk
from migration_portal.engine.errors import LeaseLost
from migration_portal.engine.staging import copy_rows
from migration_portal.runs.advance import advance
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.opening import sides_of
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from tests import builders
from tests.stack import World


def plan_without(tmp_path: Path, *lines: str, add: str = "") -> Path:
    """The default plan, minus the lines that begin with one of these, plus a table expression."""
    text = Path(settings.MIGRATION_PLAN).read_text()
    kept = [line for line in text.splitlines() if not line.startswith(lines)] if lines else text.splitlines()
    path = tmp_path / "plan.toml"
    path.write_text("\n".join(kept).replace('full_name = "full_name"', add or 'full_name = "full_name"', 1))
    return path


def reasons(run) -> dict[str, dict[str, int]]:
    return {name: table.reasons for name, table in report(run).tables.items() if table.reasons}


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
        legacy.execute("ALTER TABLE users ALTER COLUMN full_name TYPE text")
        legacy.execute("UPDATE users SET full_name = repeat('n', 256) WHERE id = %s", [long])
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


def test_collisions_in_a_table_in_use_are_set_aside(world: World) -> None:
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


def test_a_worker_that_lost_its_lease_may_not_commit(world: World) -> None:
    world.sample()
    run = start(by="tester")
    builders_until_copy(run)
    with sides_of(run, "one") as one, sides_of(run, "two") as two:
        mine = ledger.claim(one.iam, run.key, "one")
        one.iam.execute("UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s' WHERE id = %s", [mine.id])
        theirs = ledger.claim(two.iam, run.key, "two")
        assert theirs.id == mine.id
        with pytest.raises(LeaseLost):
            copy_chunk(one, mine)
        copy_chunk(two, theirs)
        assert two.iam.execute("SELECT count(*) FROM tenants").fetchone()[0] > 0


def builders_until_copy(run) -> None:
    """Advance until copy chunks wait."""
    from migration_portal.engine.perform import perform

    advance(run)
    with sides_of(run, "test") as sides:
        perform(sides, ledger.claim(sides.iam, run.key, "test"))
    advance(run)


def test_chunks_cut_at_many_places_hold_every_row_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_portal.engine.boundaries.GRANULE_BYTES", 100)
    monkeypatch.setattr(settings, "CHUNK_SECONDS", 0.01)
    world.sample(users=3000, tenants=30)
    run = builders.migrated(world)
    with world.iam() as iam:
        chunks = iam.execute("SELECT count(*) FROM portal_ledger.chunks WHERE step = 'copy:users'").fetchone()[0]
    assert chunks > 3
    assert report(run).passed


def test_the_run_uses_no_memory_of_how_many_chunks_there_were(world: World) -> None:
    """Neighbouring chunks are merged once the speed is known, and the ranges still meet."""
    world.sample(users=2000, tenants=20)
    run = start(by="tester")
    builders_until_copy(run)
    with world.iam() as iam:
        iam.execute("DELETE FROM portal_ledger.chunks WHERE step = 'copy:users'")
        bounds = [None, ["3"], ["6"], ["9"], ["c"], None]
        for n in range(5):
            iam.execute(
                "INSERT INTO portal_ledger.chunks (run, step, step_order, ordinal, kind, table_name, lower, upper, rows_planned)"
                " VALUES (%s, 'copy:users', 3, %s, 'copy', 'users', %s, %s, 100)",
                [run.key, n, bounds[n], bounds[n + 1]],
            )
    builders.finish(run)
    with world.iam() as iam:
        left = iam.execute(
            "SELECT lower, upper FROM portal_ledger.chunks WHERE step = 'copy:users' ORDER BY ordinal"
        ).fetchall()
    assert len(left) < 5
    assert left[0][0] is None
    assert left[-1][1] is None
    assert all(upper == lower for (_, upper), (lower, _) in itertools.pairwise(left))
    assert report(run).passed


def test_a_careful_copy_before_its_parents_arrive_sets_no_orphans_aside(world: World) -> None:
    dirt = world.sample()
    run = start(by="tester")
    builders_until_copy(run)
    with sides_of(run, "test") as sides, sides.iam.transaction():
        outcome = copy_rows(sides, sides.table("users"), SQL("true"))
    rejected = dirt.quarantined()["users"]
    assert outcome.quarantined == sum(rejected.values()) - rejected["missing_tenants"]
