"""Celery's shell: a verdict every few seconds."""

from celery import shared_task

from migration_portal.rollback import judge as judging


@shared_task(name="rollback.judge")
def judge() -> None:
    judging.judge()
