"""Messages to workers. They are hints: the tables say what there is to do, and the ticks send others."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)
EXPIRES_SECONDS = 600
"""By the clocks of two hosts: much longer than these may differ, or workers whose clock is fast would take nothing."""
MOST_WAITING = 8
"""In a queue whose workers are all busy, or away: more would only keep others waiting behind them."""


def send(task: str, *arguments: Any, queue: str = "celery") -> None:
    """Ask a worker of the queue to do the task, unless enough messages wait there. A broker that is away is only logged."""
    try:
        with current_app.connection_for_write() as connection:
            waiting = connection.default_channel.client.llen(queue)
        if waiting < MOST_WAITING:
            current_app.send_task(task, args=arguments, queue=queue, expires=EXPIRES_SECONDS)
    except (OperationalError, redis.RedisError) as error:
        log.warning("message_not_sent", task=task, error=str(error))
