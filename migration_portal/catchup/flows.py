"""Opening a direction of catch-up for the run that captures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from flags import homes
from migration_portal import databases
from migration_portal.engine import capture
from migration_portal.engine.catchup import Flow
from migration_portal.engine.sides import Sides
from migration_portal.plan import directions
from migration_portal.runs.models import Run
from migration_portal.runs.opening import sides_of
from migration_portal.runs.states import State

_OVER = (State.CANCELLED, State.UNDOING, State.UNDONE)


def captured_run() -> Run | None:
    """The latest run that records changes, or None."""
    return Run.objects.filter(capture=True).exclude(state__in=_OVER).first()


@contextmanager
def forward(run: Run, purpose: str) -> Iterator[Flow]:
    """Legacy to IAM: every tenant that is not at home in the IAM. Raises DatabaseUnreachable."""
    with sides_of(run, purpose) as sides:
        assert sides.queue is not None
        yield Flow("forward", sides, sides.queue, sides.iam, homes=homes.in_iam, left=homes.left_legacy)


@contextmanager
def reverse(run: Run, purpose: str) -> Iterator[Flow]:
    """IAM to legacy: the tenants at home in the IAM. Raises DatabaseUnreachable."""
    with sides_of(run, purpose) as there, ExitStack() as stack:
        source = stack.enter_context(databases.iam_source(purpose))
        target = stack.enter_context(databases.legacy_applying(purpose))
        plan = directions.backward(there.plan, there.source, there.target)
        sides = replace(
            there, legacy=source, iam=target, plan=plan, source=there.target, target=there.source,
            schema=plan.target_schema,
        )  # fmt: skip
        yield Flow(
            "reverse",
            sides,
            queue=there.iam,
            ledger=there.iam,
            homes=homes.in_iam,
            by_default=False,
            left=homes.left_iam,
        )


FLOWS = {"forward": forward, "reverse": reverse}


def start_reverse(sides: Sides) -> None:
    """Capture on the IAM, too: for tenants that live there. Harmless when it is there. `sides` are those of the way forward."""
    plan = directions.backward(sides.plan, sides.source, sides.target)
    if capture.unwatched(sides.iam, plan):
        capture.install(sides.iam, plan, sides.target)
