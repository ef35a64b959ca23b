"""Taking a checkpoint: look, keep, compare with the one before, and raise an alert about what fails."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.checkpoints.looks import look_everywhere
from migration_portal.checkpoints.models import Checkpoint
from migration_portal.locks import Lock, only_one
from migration_portal.monitoring import alerts
from migration_portal.monitoring.alerts import Condition
from migration_portal.monitoring.models import Alert
from migration_portal.runs.models import Run

SCHEDULE = "schedule"
_OF = "checkpoint:"


def take(*, by: str) -> Checkpoint:
    """Look now, in this process."""
    began = time.monotonic()
    results = [asdict(look) for look in look_everywhere()]
    with transaction.atomic():
        made = Checkpoint.objects.create(by=by, results=results, seconds=round(time.monotonic() - began, 1))
        chain.record("take_checkpoint", of=made, by=by, data={"state": made.state, "count": len(made.failed)})
    alerts.tell(
        [
            Condition(
                f"{_OF}{result['name']}",
                Alert.Severity.WARNING,
                f"{result['name']}: no. {result['what']}",
                result["todo"],
            )
            for result in made.failed
        ],
        of=_OF,
    )
    return made


def ask(*, by: str) -> None:
    """Have a worker take one."""
    messages.send("checkpoints.take", by, queue="operate")


def tick() -> None:
    """The daily one, after CHECKPOINT_HOUR (UTC), from the first run on."""
    now = timezone.now()
    due = now.replace(hour=settings.CHECKPOINT_HOUR, minute=0, second=0, microsecond=0)
    due = due if due <= now else due - timedelta(days=1)
    with only_one(connection, Lock.CHECKPOINT) as alone:
        if alone and Run.objects.exists() and not Checkpoint.objects.filter(at__gte=due).exists():
            take(by=SCHEDULE)
