"""The states of a run, and which may follow which. The operator asks (`pausing`), the engine obeys (`paused`)."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    UNDOING = "undoing"
    UNDONE = "undone"


TRANSITIONS: frozenset[tuple[State, State]] = frozenset(
    {
        (State.RUNNING, State.PAUSING),  # pause: no new chunks are claimed
        (State.PAUSING, State.PAUSED),  # the last claimed chunk has ended
        (State.PAUSING, State.RUNNING),  # resume before that
        (State.PAUSED, State.RUNNING),  # resume
        (State.RUNNING, State.CANCELLING),  # cancel: as pause, but for good
        (State.PAUSING, State.CANCELLING),
        (State.PAUSED, State.CANCELLING),
        (State.FAILED, State.CANCELLING),  # give up instead of retrying
        (State.CANCELLING, State.CANCELLED),  # the last claimed chunk has ended
        (State.RUNNING, State.FAILED),  # a chunk failed for good and nothing else is left to do
        (State.FAILED, State.RUNNING),  # retry
        (State.RUNNING, State.COMPLETED),  # every step is done
        (State.COMPLETED, State.RUNNING),  # verify again
        (State.COMPLETED, State.UNDOING),  # undo
        (State.CANCELLED, State.UNDOING),  # undo what was copied before the cancel
        (State.UNDOING, State.UNDONE),  # every row removed or reported
        (State.UNDOING, State.CANCELLED),  # a chunk of the undo failed for good: undo may be asked again
    }
)

ACTIVE = frozenset({State.RUNNING, State.PAUSING, State.PAUSED, State.CANCELLING, State.FAILED, State.UNDOING})
"""Only one run of a plan may be in one of these."""

OVER = frozenset({State.CANCELLED, State.UNDOING, State.UNDONE})
"""Its rows in the IAM count no longer."""

WORKING = frozenset({State.RUNNING, State.UNDOING})
"""Chunks are claimed only in these."""


def allowed(before: State, after: State) -> bool:
    return (before, after) in TRANSITIONS
