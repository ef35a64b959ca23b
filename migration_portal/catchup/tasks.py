"""Celery's shells: a turn that arms the next, and the tick that starts it when a message was lost."""

from celery import shared_task

from migration_portal import messages
from migration_portal.catchup import follow as following


@shared_task(name="catchup.follow")
def follow(direction: str) -> None:
    if following.follow(direction):
        messages.send_unless_many_wait("catchup.follow", direction, queue="follow")


@shared_task(name="catchup.tick")
def tick() -> None:
    for direction in ("forward", "reverse"):
        messages.send_unless_many_wait("catchup.follow", direction, queue="follow")
