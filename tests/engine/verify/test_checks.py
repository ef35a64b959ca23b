"""The named checks of a verification."""

import pytest

from migration_portal.engine.verify.checks import much_slower
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


@pytest.mark.parametrize("how", ["DROP CONSTRAINT {}", "DROP CONSTRAINT {0}, ADD CONSTRAINT {0} FOREIGN KEY (tenant_id)"
                                 " REFERENCES tenants (id) NOT VALID"], ids=["absent", "not valid"])  # fmt: skip
def test_a_foreign_key_that_is_not_in_force_fails_the_integrity_check(world: World, run: Run, how: str) -> None:
    with world.iam() as iam:
        iam.execute("ALTER TABLE users " + how.format("users_tenant_id_fkey"))
    found_after(world, run)
    check = next(check for check in report(run).checks if check["name"] == "referential_integrity")
    assert check["severity"] == "error" and "users_tenant_id_fkey" in check["summary"]


@pytest.mark.parametrize(
    ("iam", "legacy", "slower"), [(1, 1, False), (3.5, 1, False), (3.6, 1, True), (32, 20, False), (33, 20, True)]
)
def test_a_look_up_is_slower_by_half_and_by_more_than_noise(iam: float, legacy: float, slower: bool) -> None:
    assert much_slower(iam, than=legacy) is slower
