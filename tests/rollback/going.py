"""Going on with a roll-back in this process, as all the workers together would."""

from __future__ import annotations

from typing import Any

from migration_portal.backups import schedule
from migration_portal.backups.models import Reconciliation, Restoration
from migration_portal.cutover.work import work
from migration_portal.rollback import execute
from migration_portal.rollback.models import RollBack, Step
from migration_portal.runs.models import Run
from migration_portal.runs.states import State
from tests import builders
from tests.cutover.moves import both_loops


def gone_on(made: RollBack, turns: int = 60) -> RollBack:
    """Until it ends, or waits for a person."""
    for _ in range(turns):
        execute.go_on()
        made.refresh_from_db()
        step = made.step
        if made.ended_at or (step and step.state in ("asks", "failed")):
            return made
        if step is not None and step.action == "decide_written" and not Reconciliation.objects.unfinished().exists():
            return made
        others_work()
    raise AssertionError(f"{made} does not go on: {made.step} {made.step and made.step.detail}")


def others_work() -> None:
    """Moves, restorations, reconciliations, undos and catch-up, to their ends."""
    kinds: dict[str, Any] = {"restoration": Restoration, "reconciliation": Reconciliation}
    for kind, model in kinds.items():
        for pk in model.objects.claimable().values_list("pk", flat=True):
            schedule.perform(kind, pk)
    work()
    for run in Run.objects.filter(state=State.UNDOING):
        builders.finish(run)
    if Run.objects.filter(state=State.COMPLETED, capture=True).exists():
        both_loops()


def agreed(made: RollBack) -> RollBack:
    """A person agrees to the step that asks, and it goes on."""
    step = made.step
    assert step is not None and step.state == "asks", (step, step and step.state, step and step.detail)
    execute.approve(step, by="ada", reason="go ahead")
    return gone_on(made)


def states(made: RollBack) -> dict[str, str]:
    return dict(made.steps.values_list("action", "state"))  # type: ignore[attr-defined,no-any-return]


def step_of(made: RollBack, action: str) -> Step:
    return made.steps.get(action=action)  # type: ignore[attr-defined,no-any-return]
