"""Settings, URLs and the processes that make up a running portal."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
