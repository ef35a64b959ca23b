"""Undo: remove exactly what the run wrote, restore what it overwrote, report what was edited since."""

from django.db import transaction

from flags import homes, reads
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.dispatch import call_workers
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


@transaction.atomic
def undo(run: Run, *, by: str, reason: str) -> None:
    """Ask the workers to undo the run. Raises IllegalTransition, or Refusal without a reason or for a dry run."""
    if run.dry_run:
        raise Refusal("A dry run has written nothing.", subject=str(run))
    require_reason(reason, to="Undo", subject=str(run))
    if moved := len(homes.in_iam()):
        raise Refusal(
            f"{moved} tenants are at home in the IAM: undo would remove their rows.", subject=str(run),
            todo="Reverse them first.",
        )  # fmt: skip
    reads.end()  # of rows that go
    run.move_to(State.UNDOING, undo_attempt=run.undo_attempt + 1, shown=0, finished_at=None)
    chain.record("undo", of=run, run=run.pk, by=by, reason=reason)
    call_workers(run)
