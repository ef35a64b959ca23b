"""Celery's shells. A dump may take longer than a message stays hidden: the lease sees to it that nobody does it twice."""

from celery import shared_task

from migration_portal.backups import schedule


@shared_task(name="backups.work")
def work(kind: str, pk: int) -> None:
    schedule.perform(kind, pk)


@shared_task(name="backups.tick")
def tick() -> None:
    schedule.tick()
