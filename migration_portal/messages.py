"""Messages to workers. They are hints: the tables say what there is to do, and the ticks send others."""

from __future__ import annotations

from functools import cache
from typing import Any

import redis
import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)
_SECONDS = 2
MOST_WAITING = 8
"""In a queue whose workers are all busy, or away: more would only keep others waiting behind them."""


def send(task: str, *arguments: Any, queue: str = "celery", times: int = 1) -> None:
    """Ask workers of the queue to do the task. If the broker does not answer within seconds, log it and go on."""
    bounded = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
    try:
        # A connection of its own: those of the pool wait for a broker that froze for as long as it is frozen.
        with current_app.connection_for_write(connect_timeout=_SECONDS, transport_options=bounded) as broker:
            for _ in range(times):
                current_app.send_task(
                    task, args=arguments, queue=queue, expires=settings.MESSAGE_SECONDS, retry=False, connection=broker
                )
    except (OperationalError, redis.RedisError) as error:
        log.warning("message_not_sent", task=task, error=str(error))


def send_unless_many_wait(task: str, *arguments: Any, queue: str = "celery", times: int = 1) -> None:
    """The same for what is asked again and again: not while workers have more to do than they can."""
    try:
        waiting = _broker(settings.REDIS_URL).llen(queue)
    except redis.RedisError as error:
        log.warning("message_not_sent", task=task, error=str(error))
        return
    send(task, *arguments, queue=queue, times=min(times, MOST_WAITING - int(waiting)))  # type: ignore[arg-type]


@cache
def _broker(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
