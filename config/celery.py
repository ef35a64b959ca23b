"""The Celery application. Messages are hints: the tables say what there is to do (see runs.advance)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("sigma_transit")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["iam", "legacy_compat"])
app.autodiscover_tasks([f"migration_portal.{room}" for room in ("inventory", "runs", "catchup", "cutover", "features")])
