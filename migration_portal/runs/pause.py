"""Pause and resume. Finished chunks stay finished."""

from django.db import transaction

from migration_portal.audit import chain
from migration_portal.runs.dispatch import call_workers
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


@transaction.atomic
def pause(run: Run, *, by: str, reason: str = "") -> None:
    """Ask the workers to stop after their present chunk. Raises IllegalTransition."""
    run.move_to(State.PAUSING)
    chain.record("pause", of=run, run=run.pk, by=by, reason=reason)


@transaction.atomic
def resume(run: Run, *, by: str, reason: str = "") -> None:
    """Continue where the run was paused. Raises IllegalTransition."""
    run.move_to(State.RUNNING)
    chain.record("resume", of=run, run=run.pk, by=by, reason=reason)
    call_workers(run)
