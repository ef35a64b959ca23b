"""What happens by the clock."""

from celery import shared_task

from iam import keys


@shared_task(name="iam.rotate_keys")
def rotate_keys() -> None:
    keys.rotate()
