"""Unique indexes of an IAM that are about more than columns, and users of one tenant that collide in them."""

from __future__ import annotations

from tests import builders
from tests.world import World

INDEXES = {
    "lower": "CREATE UNIQUE INDEX one_email ON users (tenant_id, lower(email))",
    "some_rows": "CREATE UNIQUE INDEX one_name ON users (tenant_id, full_name) INCLUDE (email) WHERE is_active",
    "nulls": "CREATE UNIQUE INDEX one_name ON users (tenant_id, full_name) NULLS NOT DISTINCT",
}
REASONS = {
    "lower": "duplicate_tenant_id_email",
    "some_rows": "duplicate_tenant_id_full_name_is_active",
    "nulls": "duplicate_tenant_id_full_name",
}


def indexed(world: World, kind: str) -> None:
    with world.iam() as iam:
        iam.execute(INDEXES[kind])


def collide(world: World, home: str, kind: str) -> list[str]:
    """Five users, of whom the second and the third collide with the first. Returns their ids in order."""
    said = {
        "lower": [{"email": each} for each in ("a@x.org", "A@x.org", "a@X.org", "b@x.org", None)],
        "some_rows": [{"full_name": "Ann", "is_active": each} for each in (True, True, True, False, False)],
        "nulls": [{"full_name": each} for each in (None, None, None, "Ann", "Ben")],
    }[kind]
    return [
        builders.user(world, home, id=f"00000000-0000-4000-8000-{number:012}", **values)
        for number, values in enumerate(said, 1)
    ]
