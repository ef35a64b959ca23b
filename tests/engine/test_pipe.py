"""Values arrive as they are."""

from tests import builders
from tests.world import World


def test_values_arrive_unchanged(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, name="شركة")
    payload = '{"odd":  "\\u0000 and \\ud83d\\ude00", "big": "' + "x" * 1_000_000 + '"}'
    key = builders.user(world, home, full_name="Pat O&#x27;Brien \u200b e\u0301", is_active=None, email="")
    builders.licence(world, home, license_key="SIG/1/A", payload=payload)
    builders.migrated(world)
    with world.iam() as iam:
        row = iam.execute(
            "SELECT full_name, is_active, email, email_verified FROM users WHERE id = %s", [key]
        ).fetchone()
        assert row == ("Pat O&#x27;Brien \u200b e\u0301", None, "", False)
        assert iam.execute("SELECT payload::text FROM licenses").fetchone() == (payload,)
