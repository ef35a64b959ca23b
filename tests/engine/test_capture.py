"""Capture: what it leaves in a database that is not ours."""

from __future__ import annotations

from typing import Any

from migration_portal.engine import capture
from migration_portal.runs.connections import open_transfer
from tests import builders
from tests.engine.changes import caught_up, change, iam
from tests.world import World


def iam_free_dump(world: World) -> list[tuple[Any, ...]]:
    with world.legacy() as legacy:
        return legacy.execute(
            "SELECT 'class', relname, relnamespace::regnamespace::text FROM pg_class"
            " WHERE relnamespace::regnamespace::text !~ '^pg_'"
            " UNION SELECT 'trigger', tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
            " UNION SELECT 'function', proname, pronamespace::regnamespace::text FROM pg_proc"
            " UNION SELECT 'schema', nspname, '' FROM pg_namespace ORDER BY 1, 2, 3"
        ).fetchall()


def test_capture_goes_without_a_trace(world: World, home: str) -> None:
    before = iam_free_dump(world)
    run = builders.migrated(world, capture=True)
    with open_transfer(run, "test") as transfer:
        assert capture.unwatched(transfer.queue, transfer.plan) == []
        capture.remove(transfer.queue, transfer.plan)
        assert capture.unwatched(transfer.queue, transfer.plan) == list(transfer.plan.sources)
    assert iam_free_dump(world) == before


def test_compaction_keeps_one_entry_a_key(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    for n in range(50):
        change(world, "UPDATE users SET full_name = %s WHERE id = %s", f"Name {n}", user)
    with open_transfer(run, "test") as transfer:
        assert capture.compact(transfer.queue) == 49
    caught_up(run)
    assert iam(world, "SELECT full_name FROM users") == [("Name 49",)]
