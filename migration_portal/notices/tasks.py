"""Celery's shells."""

from celery import shared_task

from migration_portal.notices import plan


@shared_task(name="notices.tick")
def tick() -> None:
    plan.tick()
