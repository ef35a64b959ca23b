"""Hashing rows on servers that hash differently."""

from collections.abc import Callable

import pytest

from migration_portal.engine.verify import rows
from migration_portal.runs.models import Run
from tests.engine.verify.findings import found_after
from tests.world import World


def test_servers_that_hash_differently_are_compared_by_md5(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    never: Callable[..., bool] = lambda transfer: False  # noqa: E731
    monkeypatch.setattr(rows, "same_hashes", never)
    assert found_after(world, run) == []
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = 'x' WHERE id = (SELECT id FROM users LIMIT 1)")
    assert found_after(world, run) == [("users", "differs", "bio")]
