"""A dry run leaves nothing."""

from pathlib import Path
from typing import Any

from migration_portal.plan.loader import load
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from tests import builders
from tests.drafting.schemas import drafted
from tests.world import World


def test_dry_run_leaves_the_target_untouched_and_foretells_the_quarantine(world: World) -> None:
    dirt = world.sample()
    run = builders.migrated(world, dry_run=True)
    assert run.state == State.COMPLETED
    result = report(run)
    assert {name: table.reasons for name, table in result.tables.items()} == dirt.quarantined()
    assert result.passed, result.checks
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert iam.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'portal_dry%'").fetchone() == (0,)


def test_a_dry_run_beside_rows_of_the_iams_own_foretells_the_real_one(
    world: World, settings: Any, tmp_path: Path
) -> None:
    # Permissions and roles are seeded, one has a computed column; a user of the IAM's own is in the way of one of legacy's.
    settings.MIGRATION_PLAN = path = drafted(world, "django", tmp_path)
    [row] = load(path).rows
    with world.iam() as iam:
        [id] = [column.sql for column in row.columns if column.name == "id"]
        iam.execute(f"INSERT INTO tenants (id, name, slug) VALUES ({id}, 'Here before', 'before')")
        iam.execute(
            f"INSERT INTO users (tenant_id, username, email, hashed_password) VALUES ({id}, 'user7', 'seven', 'x')"
        )
        before = iam.execute("SELECT (SELECT count(*) FROM permissions), (SELECT count(*) FROM roles)").fetchone()
    dry = report(builders.migrated(world, dry_run=True))
    with world.iam() as iam:
        assert (
            before == iam.execute("SELECT (SELECT count(*) FROM permissions), (SELECT count(*) FROM roles)").fetchone()
        )
    real = report(builders.migrated(world))
    assert {name: (table.copied, table.reasons) for name, table in dry.tables.items()} == {
        name: (table.copied, table.reasons) for name, table in real.tables.items()
    }
    assert real.tables["users"].reasons == {"duplicate_tenant_id_username": 1}
