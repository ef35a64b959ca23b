"""The named checks of a verification."""

from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from tests.engine.verify.findings import found_after
from tests.world import World


def test_an_orphan_smuggled_past_the_constraints_fails_the_integrity_check(world: World, run: Run) -> None:
    with world.iam() as iam:
        iam.execute("SET session_replication_role = replica")
        iam.execute("DELETE FROM tenants WHERE id = (SELECT tenant_id FROM users LIMIT 1)")
    found_after(world, run)
    checks = {check["name"]: check["severity"] for check in report(run).checks}
    assert checks["referential_integrity"] == "error"
    assert checks["users_without_tenant"] == "error"
