"""Changing legacy, catching up, and asking what came of it."""

from __future__ import annotations

from typing import Any

from migration_portal.engine.catchup import batches
from migration_portal.engine.catchup.flow import Batch, Flow
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.world import World


def caught_up(run: Run) -> Batch:
    with open_transfer(run, "test") as transfer:
        return batches.drain(Flow("forward", transfer, transfer.queue, transfer.target))


def same(run: Run) -> bool:
    """Both sides are the same by the run's own verification."""
    verify(run, by="tester")
    builders.finish(run)
    found = report(run)
    return found.passed and found.accounted


def change(world: World, statement: str, *arguments: Any) -> None:
    world.sql("legacy", statement, arguments=arguments)


def iam(world: World, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return world.sql("iam", statement, arguments=arguments)  # type: ignore[no-any-return]
