"""Cancel: stop for good. What was copied stays until it is undone."""

from django.db import transaction

from flags import homes
from migration_portal.audit import chain
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


@transaction.atomic
def cancel(run: Run, *, by: str, reason: str = "") -> None:
    """Ask the workers to stop for good after their present chunk. Raises IllegalTransition, or Refusal."""
    if run.capture and (moved := len(homes.in_iam())):
        raise Refusal(
            f"{moved} tenants are at home in the IAM: catch-up would stop, and with it what brings their rows back.",
            subject=str(run), todo="Reverse them first.",
        )  # fmt: skip
    run.move_to(State.CANCELLING)
    chain.record("cancel", of=run, run=run.pk, by=by, reason=reason)
