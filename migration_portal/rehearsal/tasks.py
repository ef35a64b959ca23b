"""Celery's shells."""

from celery import shared_task

from migration_portal.rehearsal import rehearse
from migration_portal.rehearsal.models import Rehearsal


@shared_task(name="rehearsal.work")
def work(pk: int) -> None:
    rehearse.perform(Rehearsal.objects.get(pk=pk))


@shared_task(name="rehearsal.tick")
def tick() -> None:
    rehearse.tick()
