"""A second run over a table in use."""

from migration_portal.runs.report import report
from tests import builders
from tests.world import World


def test_a_second_run_changes_nothing_and_finds_the_same(world: World) -> None:
    dirt = world.sample()
    builders.migrated(world)
    with world.iam() as iam:
        before = iam.execute("SELECT id, xmin::text FROM users ORDER BY id").fetchall()
    again = report(builders.migrated(world))
    with world.iam() as iam:
        assert iam.execute("SELECT id, xmin::text FROM users ORDER BY id").fetchall() == before
    assert again.accounted, again.as_dict()
    assert {name: table.reasons for name, table in again.tables.items()} == dirt.quarantined()


def test_a_second_run_takes_over_what_changed_in_legacy(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    key = builders.user(world, home)
    builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET full_name = 'Changed' WHERE id = %s", [key])
    with world.iam() as iam:
        iam.execute("UPDATE users SET email_verified = true WHERE id = %s", [key])
    result = report(builders.migrated(world))
    with world.iam() as iam:
        row = iam.execute("SELECT full_name, email_verified FROM users").fetchone()
    assert row == ("Changed", True)  # a default is the IAM's own once it is written
    assert result.passed
