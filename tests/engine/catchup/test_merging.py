"""One transaction of catch-up: rows written, changed and removed."""

from __future__ import annotations

import uuid

from tests import builders
from tests.engine.changes import caught_up, change, iam, same
from tests.world import World


def test_a_changed_role_replaces_the_one_before(world: World, home: str) -> None:
    admin = builders.user(world, home, is_superuser=True)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET is_superuser = false WHERE id = %s", admin)
    caught_up(run)
    found = iam(world, "SELECT r.name FROM user_roles u JOIN roles r ON r.id = u.role_id WHERE user_id = %s", admin)
    assert found == [("user",)]
    assert same(run)


def test_a_changed_key_leaves_no_row_behind(world: World, home: str) -> None:
    before, after = builders.licence(world, home), str(uuid.uuid4())
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE licenses SET id = %s WHERE id = %s", after, before)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM licenses") == [(after,)]


def test_truncate_empties_the_iam_too(world: World, home: str) -> None:
    builders.licence(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "TRUNCATE licenses")
    left = builders.licence(world, home)
    caught_up(run)
    assert iam(world, "SELECT id::text FROM licenses") == [(left,)]
