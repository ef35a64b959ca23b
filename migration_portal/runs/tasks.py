"""Celery's shells. A lost task never matters: the tick reads the tables and sends another."""

from celery import shared_task

from migration_portal.runs.dispatch import dispatch
from migration_portal.runs.models import Run
from migration_portal.runs.uncapture import remove_leftovers
from migration_portal.runs.work import work as work_on


@shared_task(name="runs.work")
def work(run_id: int) -> None:
    work_on(run_id)


@shared_task(name="runs.tick")
def tick() -> None:
    for run in Run.objects.active():
        dispatch(run)
    remove_leftovers()
