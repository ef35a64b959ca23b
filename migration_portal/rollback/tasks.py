"""Celery's shells: a verdict, and a roll-back that goes on, every few seconds."""

from celery import shared_task

from migration_portal.rollback import execute
from migration_portal.rollback import judge as judging


@shared_task(name="rollback.judge")
def judge() -> None:
    judging.judge()


@shared_task(name="rollback.go_on")
def go_on() -> None:
    execute.go_on()
