"""Cancel: stop for good. What was copied stays until it is undone."""

from django.db import transaction

from migration_portal.audit import chain
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


@transaction.atomic
def cancel(run: Run, *, by: str, reason: str = "") -> None:
    """Ask the workers to stop for good after their present chunk. Raises IllegalTransition."""
    run.move_to(State.CANCELLING)
    chain.record("cancel", of=run, run=run.pk, by=by, reason=reason)
