"""Celery's shells."""

from celery import shared_task

from migration_portal.cutover import ask, guard


@shared_task(name="cutover.work")
def work() -> None:
    ask.work()


@shared_task(name="cutover.tick")
def tick() -> None:
    ask.know_tenants()
    ask.work()
    guard.agree()
