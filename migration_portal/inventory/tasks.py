"""Celery's shells. The tick asks again for what a lost message left undone."""

from celery import shared_task

from migration_portal import messages
from migration_portal.inventory import requests


@shared_task(name="inventory.take")
def take(kind: str, pk: int) -> None:
    requests.take_requested(kind, pk)


@shared_task(name="inventory.look")
def look(kind: str, pk: int) -> None:
    """What version 0.1 called it: a message may still be queued."""
    requests.take_requested(kind, pk)


@shared_task(name="inventory.tick")
def tick() -> None:
    for kind, pk in requests.unfinished():
        messages.send_unless_many_wait("inventory.take", kind, pk)
