"""The Celery application. Messages are hints: the tables say what there is to do (see runs.advance)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("sigma_transit")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["migration_portal.features"])  # a room without models
