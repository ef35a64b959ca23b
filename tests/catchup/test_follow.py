"""The loop of catch-up, and what it tells the operator."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from migration_portal.catchup import follow as following
from migration_portal.catchup.follow import _tuned, follow, forget_samples
from migration_portal.catchup.models import FlowStatus, LagSample
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.locks import Lock, only_one
from migration_portal.runs.drift import accept_drift
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.start import start
from tests import builders
from tests.cutover.moves import moved
from tests.engine.changes import change
from tests.world import World


def test_the_loop_says_so_when_somebody_removes_the_triggers(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    change(world, "DROP TRIGGER portal_capture ON users")
    assert follow("forward", seconds=0.2) == 0 and "users are no longer recorded" in FlowStatus.objects.get().error


def test_a_server_that_restarted_is_a_reason_to_verify_again(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    follow("forward", seconds=0.2)
    run.refresh_from_db()
    assert run.verification == 1
    FlowStatus.objects.update(servers=["1 1 2026-01-01", "2 1 2026-01-01"])
    follow("forward", seconds=0.2)
    run.refresh_from_db()
    assert (run.state, run.verification) == ("running", 2)
    builders.finish(run)
    follow("forward", seconds=0.2)
    run.refresh_from_db()
    assert (run.state, run.verification) == ("completed", 2)


def test_a_new_column_in_legacy_blocks_moves_until_somebody_decides(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users ADD COLUMN phone text")
    follow("forward", seconds=0.2)
    assert "users.phone is new" in FlowStatus.objects.get(pk="forward").trouble
    sync_tenants()
    assert "users.phone is new" in moved(home).error
    assert "users.phone is new" in accept_drift(run, by="tester", reason="not needed")
    follow("forward", seconds=0.2)
    assert FlowStatus.objects.get(pk="forward").trouble == ""
    assert moved(home).error == ""


def test_a_direction_with_nothing_to_follow_yet_is_well(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    for _ in range(2):
        FlowStatus.objects.update(beat_at="2026-01-01T00:00:00Z")
        follow("reverse", seconds=0.2)
    assert FlowStatus.objects.get(pk="reverse").trouble == ""


def test_batches_grow_while_they_are_quick_and_half_full(
    world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_BATCH_SECONDS", 60.0)  # quick on a busy machine, too
    builders.migrated(world, capture=True)
    follow("forward", seconds=0.1)
    for size, entries, becomes in ((100, 60, 200), (200, 60, 200)):
        FlowStatus.objects.update(batch_size=size)
        change(
            world,
            "INSERT INTO portal_capture.queue (table_name, key) SELECT 'tenants', ARRAY[g::text] FROM generate_series(1, %s) g",
            entries,
        )
        follow("forward", seconds=0.2)
        assert FlowStatus.objects.get(pk="forward").batch_size == becomes


@pytest.mark.parametrize(("seconds", "becomes"), [(100, 250), (0.4, 500), (0.001, 1000)])
def test_a_batch_is_at_most_halved_or_doubled_towards_its_time(seconds: float, becomes: int) -> None:
    assert _tuned(500, seconds) == becomes


def test_the_loop_waits_while_another_run_loads(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    start(by="tester")
    change(world, "UPDATE tenants SET name = 'Changed'")
    assert follow("forward", seconds=0.2) == 0
    assert change_waits(world)


def test_one_loop_follows_a_direction(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    change(world, "UPDATE tenants SET name = 'Changed'")
    with world.portal() as other, only_one(other, Lock.FOLLOW, 1) as alone:
        assert alone
        assert follow("forward", seconds=0.2) == 0
    assert change_waits(world)
    assert follow("forward", seconds=0.2) == 1


def change_waits(world: World) -> bool:
    with world.legacy() as legacy:
        return legacy.execute("SELECT count(*) FROM portal_capture.queue").fetchone() == (1,)


def test_the_two_directions_do_not_wait_for_each_other(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    sync_tenants()
    follow("forward", seconds=0.05)
    moved(home)
    with world.portal() as other, only_one(other, Lock.FOLLOW, 1):
        before = FlowStatus.objects.filter(pk="reverse").values_list("beat_at", flat=True).first()
        follow("reverse", seconds=0.05)
        follow("forward", seconds=0.05)
    assert FlowStatus.objects.get(pk="reverse").beat_at != before


def test_samples_of_a_day_are_kept(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    follow("forward", seconds=0.05)
    young, old = timezone.now() - timedelta(hours=23), timezone.now() - timedelta(hours=25)
    for at in (young, old):
        LagSample.objects.create(flow_id="forward", at=at, entries=1, seconds=1, applied=0)
    forget_samples(timezone.now())
    assert LagSample.objects.filter(at=young).exists() and not LagSample.objects.filter(at=old).exists()


def test_a_quarantined_row_that_legacy_removes_needs_no_decision_any_more(world: World, home: str) -> None:
    lost, kept = (builders.user(world, "00000000-0000-4000-8000-00000000000a") for _ in range(2))
    builders.migrated(world, capture=True)
    change(world, "DELETE FROM users WHERE id = %s", lost)
    follow("forward", seconds=0.5)
    left = QuarantinedRow.objects.filter(table_name="users").values_list("source_key", flat=True)
    assert list(left) == [[kept]]
