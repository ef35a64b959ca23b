"""Verifying again."""

from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.world import World


def test_verify_again_finds_what_changed_since(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    key = builders.user(world, home)
    run = builders.migrated(world)
    with world.iam() as iam:
        iam.execute("UPDATE users SET hashed_password = 'x' WHERE id = %s", [key])
    verify(run, by="tester")
    builders.finish(run)
    result = report(run)
    assert result.tables["users"].mismatched == 1
    assert not result.passed
    from migration_portal.runs.models import Finding

    finding = Finding.objects.get(run=run.key, verification=2)
    assert (finding.key, finding.field, finding.legacy_value, finding.iam_value) == (
        [key], "hashed_password", "(secret)", "(secret)",
    )  # fmt: skip
