"""Opening the two databases for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg import Connection

from flags import homes
from migration_portal import databases
from migration_portal.engine import catalog, ledger, returning
from migration_portal.engine.owner import Owner
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import directions
from migration_portal.plan.model import Catalog, Plan
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
        known = _catalogs(run, legacy, iam)
        transfer = Transfer(
            legacy, iam, plan, *known, run=run.key, schema=run.schema, in_iam=homes.in_iam(), runs=_earlier(run, plan)
        )
        if not run.capture:
            yield transfer
            return
        with databases.legacy_writable(f"queue {run.pk}") as queue:
            databases.enter(queue, plan.source_schema)
            _check_queue(queue, mine)
            yield replace(transfer, queue=queue)


@contextmanager
def open_reverse(run: Run, purpose: str) -> Iterator[Transfer]:
    """The transfer of the way back, of a run that captures. Raises DatabaseUnreachable."""
    forth, name = run.plan, f"{purpose} {run.pk}"
    with databases.iam_source(name) as source, databases.legacy_applying(name) as legacy, databases.iam(name) as queue:
        databases.enter(legacy, forth.source_schema)
        databases.enter(source, forth.target_schema)
        databases.enter(queue, forth.target_schema)
        ledger.install(queue)
        mine = ownership.ours()
        _check_iam(queue, mine)
        _check_queue(legacy, mine)
        theirs, ours = _catalogs(run, legacy, queue)
        plan = returning.keeping(legacy, directions.backward(forth, theirs, ours), theirs, ours)
        yield Transfer(
            source, legacy, plan, ours, directions.keyed(forth, theirs),
            run=run.key, schema=plan.target_schema, queue=queue, in_iam=homes.in_iam(),
        )  # fmt: skip


def _earlier(run: Run, plan: Plan) -> tuple[UUID, ...]:
    """The run, and those before it that brought rows of the same tables into the same ones, whatever their plans are called."""
    fills = _fills(plan)
    latest = Run.objects.filter(pk__lte=run.pk).order_by("plan_name", "-pk").distinct("plan_name")
    names = [each.plan_name for each in latest if each.plan_name == run.plan_name or fills & _fills(each.plan)]
    return tuple(Run.objects.filter(plan_name__in=names, pk__lte=run.pk).values_list("key", flat=True))


def _fills(plan: Plan) -> set[tuple[str, ...]]:
    return {(plan.source_schema, table.source, plan.target_schema, table.target) for table in plan.tables}


def _catalogs(run: Run, legacy: Connection[Any], iam: Connection[Any]) -> tuple[Catalog, Catalog]:
    """Of legacy and of the IAM as they were when the run began."""
    remembered = catalog.recall(iam, run.key)
    if remembered is None:
        with legacy.transaction():
            source = catalog.read(legacy, run.plan.source_schema)
        catalog.remember(iam, run.key, source, catalog.read(iam, run.plan.target_schema))
        remembered = catalog.recall(iam, run.key)
        assert remembered is not None
    return remembered


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
