"""The parts of the product, each with when it was last seen. What has not begun is no trouble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.conf import settings
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from migration_portal.catchup.models import FlowStatus
from migration_portal.monitoring.models import Heartbeat, Sample

QUEUES = {"celery": "copy and verify", "follow": "catch-up and cut-over", "operate": "backups and checks"}
_LATE = timedelta(seconds=60)
_SAMPLE_LATE = timedelta(minutes=4)
_NAMES = {"legacy": "Legacy database", "iam": "IAM database", "portal": "Portal database", "redis": "Redis"}


@dataclass(frozen=True)
class Part:
    """`trouble` says what is wrong and what to do; empty when it is well, or has not begun (`seen` is None then)."""

    name: str
    seen: datetime | None
    trouble: str = ""
    needed: bool = True
    """Whether the product is not at work without it, also before it was ever seen."""

    @property
    def state(self) -> str:
        return "failed" if self.trouble else "ok" if self.seen else "not begun"


def beat(queue: str) -> None:
    """A worker of the queue was here."""
    Heartbeat.objects.update_or_create(name=f"queue {queue}", defaults={"at": Now()})


def parts() -> list[Part]:
    """All of them, in the order in which one would look."""
    return [*_servers(), *_workers(), *_flows()]


def _servers() -> Iterator[Part]:
    seen = dict(Sample.objects.filter(source__in=_NAMES).values_list("source").annotate(Max("at")))
    newest = Sample.objects.aggregate(at=Max("at"))["at"]
    for source, name in _NAMES.items():
        at = seen.get(source)
        # Compared with the newest sample of any: where nobody samples, that is the workers' trouble, said once.
        away = newest is not None and newest - (at or newest - 2 * _SAMPLE_LATE) > _SAMPLE_LATE
        yield Part(name, at, f"It has not answered since {_clock(at)}. Check that it runs." if away else "")


def _workers() -> Iterator[Part]:
    now, beats = timezone.now(), dict(Heartbeat.objects.values_list("name", "at"))
    late = {queue for queue in QUEUES if (at := beats.get(f"queue {queue}")) and now - at > _LATE}
    # Beat sends to every queue: where all are silent and nothing waits, it is beat that is.
    silent = bool(late) and late == {queue for queue in QUEUES if f"queue {queue}" in beats} and not _anything_waits()
    newest = max(beats.values(), default=None)
    yield Part("Beat", newest, "It sends nothing. Start: celery -A config beat" if silent else "")
    for queue, what in QUEUES.items():
        at = beats.get(f"queue {queue}")
        todo = f"No heartbeat since {_clock(at)}. Start: celery -A config worker -Q {queue}"
        yield Part(f"Workers of “{queue}” ({what})", at, todo if queue in late and not silent else "")


def _flows() -> Iterator[Part]:
    for flow in FlowStatus.objects.order_by("direction"):
        yield (
            Part(f"Catch-up {flow}", flow.beat_at, flow.trouble)
            if flow.begun
            else Part(f"Catch-up {flow}", None, needed=False)
        )


def _anything_waits() -> bool:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as connection:
            return any(connection.llen(queue) for queue in QUEUES)
    except redis.RedisError:
        return False


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "it was set up"
