"""What is watched: nothing is wrong with what has not begun, and what stops says so once, in words."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from flags.models import TenantHome
from migration_portal.backups.models import Backup
from migration_portal.catchup.models import FlowStatus
from migration_portal.monitoring import parts, sample, watch
from migration_portal.monitoring.models import Heartbeat, Minute, Sample
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from tests import builders
from tests.world import World


def troubles() -> list[str]:
    return [part.name for part in parts.parts() if part.trouble]


def test_nothing_is_wrong_with_what_has_not_begun(rolled_back: World) -> None:
    assert {part.state for part in parts.parts()} == {"not begun"}
    assert list(watch.conditions()) == []


def test_a_queue_without_a_worker_is_named_and_the_others_are_not(rolled_back: World) -> None:
    for queue in parts.QUEUES:
        parts.beat(queue)
    assert troubles() == []
    Heartbeat.objects.filter(name="queue follow").update(at=timezone.now() - timedelta(minutes=2))
    assert troubles() == ["Workers of “follow” (catch-up and cut-over)"]


def test_where_all_queues_are_silent_it_is_beat(rolled_back: World) -> None:
    for queue in parts.QUEUES:
        parts.beat(queue)
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=2))
    assert troubles() == ["Beat"]


def test_a_server_that_answers_no_more_is_named(rolled_back: World) -> None:
    now = timezone.now()
    for source in ("legacy", "iam", "portal", "redis"):
        Sample.objects.create(source=source, name="bytes", value=1, at=now - timedelta(minutes=10))
    assert troubles() == []
    for source in ("iam", "portal", "redis"):
        Sample.objects.create(source=source, name="bytes", value=1, at=now)
    assert troubles() == ["Legacy database"]


def test_everything_is_sampled(world: World) -> None:
    sample.sample()
    found = set(Sample.objects.values_list("source", flat=True))
    assert {"legacy", "iam", "portal", "redis"} <= found and any(source.startswith("host ") for source in found)
    assert Sample.objects.filter(source="portal", name="sessions", value__gte=1).exists()


def test_reverse_is_no_trouble_before_anybody_has_moved(world: World) -> None:
    builders.legacy_tables(world)
    run: Run = start(by="tester", capture=True)
    FlowStatus.objects.create(direction="reverse", run=run, beat_at=timezone.now() - timedelta(hours=1))
    assert troubles() == []
    TenantHome.objects.create(tenant="t", name="Acme", home="iam")
    assert troubles() == ["Catch-up IAM → legacy"]


def test_failures_are_told_when_there_are_enough_calls_to_say_so(rolled_back: World) -> None:
    Minute.objects.create(at=timezone.now(), home="iam", endpoint="GET auth/me", ok=10, failed=10)
    assert list(watch.conditions()) == []
    Minute.objects.update(ok=100, failed=50)
    assert [condition.key for condition in watch.conditions()] == ["health:failing:iam"]


def test_a_backup_that_failed_is_told_until_one_succeeds(rolled_back: World) -> None:
    Backup.objects.create(side="iam", place="a", error="No room.", finished_at=timezone.now())
    assert [condition.key for condition in watch.conditions()] == ["health:backup:iam"]
    Backup.objects.create(side="iam", place="b", level=0, finished_at=timezone.now())
    assert list(watch.conditions()) == []
