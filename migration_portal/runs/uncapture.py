"""Uncapture: take our triggers and the queue away from both databases, once nobody needs what they record."""

from __future__ import annotations

from django.db import transaction

from flags import homes
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import capture
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs import ownership
from migration_portal.runs.models import Run
from migration_portal.runs.states import State

_OVER = (State.CANCELLED, State.UNDONE)


def uncapture(run: Run, *, by: str, reason: str) -> None:
    """Stop recording changes for a run that is not cutting over. Raises Refusal, or psycopg.Error; then it is tried again."""
    require_reason(reason, to="Removing capture", subject=str(run))
    if not run.capture:
        raise Refusal("It records no changes.", subject=str(run))
    if moved := len(homes.in_iam()):
        raise Refusal(
            f"{moved} tenants are at home in the IAM: what is written there could not be brought back.", subject=str(run),
            todo="Reverse them first, or finalize.",
        )  # fmt: skip
    _remove(run, by=by, reason=reason)


def remove_leftovers() -> int:
    """Do so for runs that were cancelled or undone. Returns how many. Raises Refusal, or psycopg.Error."""
    runs = list(Run.objects.filter(capture=True, state__in=_OVER))
    for run in runs:
        _remove(run, by="system", reason=f"The run is {run.state}.")
    return len(runs)


def _remove(run: Run, *, by: str, reason: str) -> None:
    others = Run.objects.filter(capture=True).exclude(state__in=_OVER).exclude(pk=run.pk)
    if not others.exists():
        plan = run.plan
        with databases.legacy_writable("uncapture") as legacy, databases.iam("uncapture") as iam:
            ownership.check(legacy, "portal_capture", "legacy database")
            ownership.check(iam, "portal_capture", "IAM database")
            with (
                legacy.transaction(),
                iam.transaction(),
            ):  # the IAM's first, where nobody lives: it comes back if legacy's stays
                capture.remove(iam, plan.target_schema)
                capture.remove(legacy, plan.source_schema)
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(capture=False)
        chain.record("uncapture", of=run, run=run.pk, by=by, reason=reason)
