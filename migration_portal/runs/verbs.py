"""The buttons of a run: what each is called, who may press it, and in which states it makes sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migration_portal.runs import cancel, force, pause, retry, undo, verify
from migration_portal.runs.models import Run
from migration_portal.runs.states import State


@dataclass(frozen=True)
class Verb:
    """`do` takes the run, and by whom and why by keyword; `explain` is what the dialog says.

    `typed` verbs want the run's name typed, `reasoned` ones a reason.
    """

    name: str
    label: str
    icon: str
    permission: str
    states: frozenset[State]
    do: Callable[..., None]
    explain: str
    done: str
    typed: bool = False
    reasoned: bool = False


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "pause", "Pause", "pause", "runs.pause_run", frozenset({State.RUNNING}), pause.pause,
            "Workers finish their present chunk and then wait. Finished chunks stay finished.",
            "Pausing: workers finish their present chunk.",
        ),
        Verb(
            "resume", "Resume", "play_arrow", "runs.pause_run", frozenset({State.PAUSED, State.PAUSING}), pause.resume,
            "The run continues with the chunks that are left.", "The run continues.",
        ),
        Verb(
            "retry", "Retry failed chunks", "refresh", "runs.retry_run", frozenset({State.FAILED}), retry.retry,
            "Chunks that failed are tried again; nothing that is done is done twice.", "The failed chunks are tried again.",
        ),
        Verb(
            "verify", "Verify again", "fact_check", "runs.verify_run", frozenset({State.COMPLETED}), verify.verify,
            "Both sides are compared once more, as they are now. Nothing is written.", "Verification has started.",
        ),
        Verb(
            "cancel", "Cancel", "cancel", "runs.cancel_run",
            frozenset({State.RUNNING, State.PAUSING, State.PAUSED, State.FAILED}), cancel.cancel,
            "The run stops for good. What was copied stays until you undo it.",
            "Cancelling: workers finish their present chunk.", reasoned=True,
        ),
        Verb(
            "force", "Cut stuck sessions", "bolt", "runs.force_run",
            frozenset({State.RUNNING, State.PAUSING, State.CANCELLING, State.UNDOING}), force.force,
            "Cuts the database sessions that work on this run. Their chunks roll back and are claimed again. "
            "For workers that hang; a slow chunk is not a stuck one.",
            "The sessions were cut.", reasoned=True,
        ),
        Verb(
            "undo", "Undo", "undo", "runs.undo_run", frozenset({State.COMPLETED, State.CANCELLED}), undo.undo,
            "Removes exactly what this run wrote and restores what it overwrote. Rows edited since stay, and are reported.",
            "Undo has started.", typed=True, reasoned=True,
        ),
    )
}  # fmt: skip


def available(run: Run) -> list[Verb]:
    """The verbs that make sense in the run's state; a dry run has nothing to verify or undo."""
    verbs = [verb for verb in VERBS.values() if State(run.state) in verb.states]
    return [verb for verb in verbs if not (run.dry_run and verb.name in ("verify", "undo"))]
