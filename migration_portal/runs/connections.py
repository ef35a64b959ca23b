"""Opening the two databases for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psycopg import Connection

from flags import homes
from migration_portal import databases
from migration_portal.engine import catalog, ledger
from migration_portal.engine.owner import Owner
from migration_portal.engine.transfer import Transfer
from migration_portal.runs import ownership
from migration_portal.runs.models import Run


@contextmanager
def open_transfer(run: Run, purpose: str) -> Iterator[Transfer]:
    """The run's transfer, forward, with its plan and remembered catalogs. Raises DatabaseUnreachable."""
    plan = run.plan
    with databases.both(f"{purpose} {run.pk}") as (legacy, iam):
        databases.enter(legacy, plan.source_schema)
        databases.enter(iam, plan.target_schema)
        ledger.install(iam)
        mine = ownership.ours()
        _check_iam(iam, mine)
        remembered = catalog.recall(iam, run.key)
        if remembered is None:
            with legacy.transaction():
                source = catalog.read(legacy, plan.source_schema)
            catalog.remember(iam, run.key, source, catalog.read(iam, plan.target_schema))
            remembered = catalog.recall(iam, run.key)
            assert remembered is not None
        transfer = Transfer(legacy, iam, plan, *remembered, run=run.key, schema=run.schema, in_iam=homes.in_iam())
        if not run.capture:
            yield transfer
            return
        with databases.legacy_writable(f"queue {run.pk}") as queue:
            databases.enter(queue, plan.source_schema)
            _check_queue(queue, mine)
            yield replace(transfer, queue=queue)


def still_ours(transfer: Transfer) -> None:
    """Make sure that no other portal has taken over since the transfer was opened, and sign both sides. Raises Refusal."""
    mine = ownership.ours()
    _check_iam(transfer.target, mine)
    if transfer.queue is not None:
        _check_queue(transfer.queue, mine)


def _check_iam(iam: Connection[Any], mine: Owner) -> None:
    ownership.check(iam, "portal_ledger", "IAM database", mine)
    ownership.check(iam, "portal_capture", "IAM database", mine)


def _check_queue(queue: Connection[Any], mine: Owner) -> None:
    ownership.check(queue, "portal_capture", "legacy database", mine)
