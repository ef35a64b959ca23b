"""Celery's shells."""

from celery import shared_task

from migration_portal.cutover import guard, waves
from migration_portal.cutover import work as working
from migration_portal.cutover.follow_up import resume
from migration_portal.cutover.tenants import count_users, sync_tenants


@shared_task(name="cutover.work")
def work() -> None:
    working.work()


@shared_task(name="cutover.tick")
def tick() -> None:
    sync_tenants()
    waves.tick()
    working.work()
    resume()
    guard.agree()


@shared_task(name="cutover.count_users")
def count() -> None:
    count_users()
