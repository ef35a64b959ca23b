"""What the default plan makes of legacy rows."""

from tests import builders
from tests.world import World


def test_superusers_become_admins_and_others_users(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    boss, clerk = builders.user(world, home, is_superuser=True), builders.user(world, home, is_superuser=None)
    builders.migrated(world)
    with world.iam() as iam:
        roles = dict(
            iam.execute("SELECT user_id::text, r.name FROM user_roles JOIN roles r ON r.id = role_id").fetchall()
        )
    assert roles == {boss: "admin", clerk: "user"}
