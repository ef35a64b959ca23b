"""Verify again: compare both sides once more, as they are now."""

from django.db import transaction

from migration_portal.audit import chain
from migration_portal.refusal import Refusal
from migration_portal.runs.dispatch import call_workers
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


@transaction.atomic
def verify(run: Run, *, by: str, reason: str = "") -> None:
    """Start another verification of a completed run. Raises IllegalTransition, or Refusal for a dry run."""
    if run.dry_run:
        raise Refusal("A dry run leaves nothing to verify.", subject=str(run), todo="Start a run.")
    run.move_to(State.RUNNING, verification=run.verification + 1, shown=0, finished_at=None)
    chain.record("verify", of=run, run=run.pk, by=by, reason=reason, data={"verification": run.verification})
    call_workers(run)
