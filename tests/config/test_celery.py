"""What beat sends is what workers know."""

from __future__ import annotations

import subprocess
import sys

from django.conf import settings

from config import embedded

_REGISTERED = "from config.celery import app; app.loader.import_default_modules(); print('\\n'.join(app.tasks))"


def test_a_worker_knows_every_task_that_is_scheduled() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _REGISTERED], cwd=embedded.PROJECT, capture_output=True, text=True, check=True
    )
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled - set(told.stdout.splitlines()) == set()
    assert "backups.work" in told.stdout.splitlines()
