"""Celery's shells. The tick asks again for what a lost message left undone."""

from celery import current_app, shared_task

from migration_portal.inventory import asking


@shared_task(name="inventory.look")
def look(kind: str, pk: int) -> None:
    asking.look(kind, pk)


@shared_task(name="inventory.tick")
def tick() -> None:
    for kind, pk in asking.unfinished():
        current_app.send_task("inventory.look", args=[kind, pk], expires=30)
