"""Celery's shells. What one turn misses the next one does."""

import redis
import structlog
from celery import shared_task

from migration_portal.monitoring import alerts, parts, report, watch
from migration_portal.monitoring import roll_up as rolling
from migration_portal.monitoring.sample import sample as take_sample

log = structlog.get_logger(__name__)


@shared_task(name="monitoring.beat")
def beat(queue: str) -> None:
    parts.beat(queue)


@shared_task(name="monitoring.roll_up")
def roll_up() -> None:
    try:
        rolling.roll_up()
    except redis.RedisError as error:
        log.warning("not_rolled_up", error=str(error))


@shared_task(name="monitoring.sample")
def sample() -> None:
    take_sample()


@shared_task(name="monitoring.watch")
def watch_and_tell() -> None:
    alerts.tell(watch.conditions(), of=watch.OF)
    report.tick()
    alerts.deliver()


@shared_task(name="monitoring.forget")
def forget() -> None:
    rolling.forget()
