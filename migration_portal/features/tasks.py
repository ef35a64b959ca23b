"""Celery's shells: derived flags follow from the migration, ramps and scheduled changes from the clock."""

from celery import shared_task

from migration_portal.features import ramp, schedule, switch


@shared_task(name="features.derive")
def derive() -> None:
    switch.derive()


@shared_task(name="features.ramp")
def by_the_clock() -> None:
    ramp.tick()
    schedule.tick()
