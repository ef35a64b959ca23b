"""Celery's shell: facts follow from the migration."""

from celery import shared_task

from migration_portal.features import ramp, switch


@shared_task(name="features.derive")
def derive() -> None:
    switch.derive()


@shared_task(name="features.ramp")
def advance_ramps() -> None:
    ramp.tick()
