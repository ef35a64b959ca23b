"""Celery's shells."""

from celery import shared_task

from migration_portal.checkpoints import take as taking


@shared_task(name="checkpoints.take")
def take(by: str) -> None:
    taking.take(by=by)


@shared_task(name="checkpoints.tick")
def tick() -> None:
    taking.tick()
