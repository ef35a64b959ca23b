"""Messages to workers."""

from __future__ import annotations

import time
from typing import Any

import redis
from django.conf import settings as ours

from migration_portal import messages
from tests.world import World


def waiting(queue: str = "celery") -> int:
    return int(redis.Redis.from_url(ours.REDIS_URL).llen(queue))  # type: ignore[arg-type]


def test_what_is_asked_again_and_again_does_not_pile_up(world: World) -> None:
    for _ in range(10):
        messages.send_unless_many_wait("runs.work", 1, times=3)
    assert waiting() == messages.MOST_WAITING
    messages.send("inventory.take", "inventory", 1)
    assert waiting() == messages.MOST_WAITING + 1
    messages.send("cutover.work", queue="follow")
    assert waiting("follow") == 1


def test_a_broker_that_is_away_delays_nobody(world: World, settings: Any, monkeypatch: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(messages.current_app.conf, "broker_url", settings.REDIS_URL)
    begun = time.monotonic()
    messages.send_unless_many_wait("runs.work", 1, times=5)
    assert time.monotonic() - begun < 3
