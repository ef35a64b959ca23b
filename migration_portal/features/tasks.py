"""Celery's shells: derived flags follow from the migration, ramps from the clock."""

from celery import shared_task

from migration_portal.features import ramp, switch


@shared_task(name="features.derive")
def derive() -> None:
    switch.derive()


@shared_task(name="features.ramp")
def advance_ramps() -> None:
    ramp.tick()
