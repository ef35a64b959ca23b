"""Handing a run to the workers."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from migration_portal import messages
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Run
from migration_portal.runs.states import WORKING


def dispatch(run: Run) -> None:
    """Advance the run and send as many messages as there are chunks to claim, at most one a worker."""
    advance(run)
    run.refresh_from_db()
    if run.state in WORKING and not run.hold_reason:
        call_workers(run)


def call_workers(run: Run) -> None:
    """Ask for workers once the current transaction is committed."""

    def send() -> None:
        messages.send_unless_many_wait(
            "runs.work", run.pk, times=min(settings.RUN_WORKERS, run.workers or settings.RUN_WORKERS)
        )

    transaction.on_commit(send)
