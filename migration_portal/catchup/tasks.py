"""Celery's shells: a turn that arms the next, and the tick that starts it when a message was lost."""

from celery import current_app, shared_task

from migration_portal.catchup import follow as following


@shared_task(name="catchup.follow")
def follow(direction: str) -> None:
    if following.follow(direction):
        current_app.send_task("catchup.follow", args=[direction], expires=10)


@shared_task(name="catchup.tick")
def tick() -> None:
    for direction in ("forward", "reverse"):
        current_app.send_task("catchup.follow", args=[direction], expires=4)
