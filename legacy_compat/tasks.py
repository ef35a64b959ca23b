"""What happens by the clock."""

from celery import shared_task

from legacy_compat import record


@shared_task(name="legacy_compat.forget_old")
def forget_old() -> None:
    record.forget_old()
