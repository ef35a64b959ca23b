"""Opening a direction of catch-up for the run that captures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flags import homes
from migration_portal.engine import capture, triggers
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import directions
from migration_portal.runs import ownership
from migration_portal.runs.connections import open_reverse, open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.states import OVER


def captured_run() -> Run | None:
    """The latest run that records changes, or None."""
    return Run.objects.filter(capture=True).exclude(state__in=OVER).first()


@contextmanager
def forward(run: Run, purpose: str) -> Iterator[Flow]:
    """Legacy to IAM: every tenant that is not at home in the IAM. Raises DatabaseUnreachable."""
    with open_transfer(run, purpose) as transfer:
        assert transfer.queue is not None
        yield Flow(
            "forward", transfer, transfer.queue, transfer.target, homes=homes.in_iam, left=homes.left_legacy,
            still_ours=lambda: ownership.check(transfer.target, "portal_ledger", "IAM database"),
        )  # fmt: skip


@contextmanager
def reverse(run: Run, purpose: str) -> Iterator[Flow]:
    """IAM to legacy: the tenants at home in the IAM. Raises DatabaseUnreachable."""
    with open_reverse(run, purpose) as transfer:
        legacy, iam = transfer.target, transfer.queue
        assert iam is not None
        silenced, deleting = (
            frozenset(
                triggers.with_triggers(legacy, transfer.plan, deleting=each) if triggers.may_silence(legacy) else ()
            )
            for each in (False, True)
        )
        yield Flow(
            "reverse", transfer, queue=iam, ledger=iam, homes=homes.in_iam, by_default=False, left=homes.left_iam,
            still_ours=lambda: ownership.check(iam, "portal_ledger", "IAM database"), silenced=silenced, silenced_deletes=deleting,
        )  # fmt: skip


FLOWS = {"forward": forward, "reverse": reverse}


def start_reverse(transfer: Transfer) -> None:
    """Capture on the IAM, too: for tenants that live there. Harmless when it is there. The transfer is the forward one."""
    plan = directions.backward(transfer.plan, transfer.source_catalog, transfer.target_catalog)
    if capture.unwatched(transfer.target, plan):
        capture.install(transfer.target, plan, transfer.target_catalog)
