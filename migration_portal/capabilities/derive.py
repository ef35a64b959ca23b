"""Deriving the capability model again, outside a run's own steps; and taking back what a run derived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import structlog
from django.db import DatabaseError, transaction
from psycopg.sql import SQL, Literal

from flags.models import TenantHome
from migration_portal.audit import chain
from migration_portal.engine import capabilities
from migration_portal.engine.capabilities import Would
from migration_portal.engine.catchup import batches
from migration_portal.engine.copy import undo as undoing
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.states import State

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Derived:
    """Rows of one table."""

    table: str
    written: int
    removed: int


def latest() -> Run:
    """The run whose rows are derived from. Raises Refusal when there is none."""
    run = Run.objects.in_force()
    if run is None or run.state != State.COMPLETED:
        raise Refusal(
            "No run has completed: there is nothing to derive from.", subject="capabilities", todo="Start a run first."
        )
    return run


def would() -> list[Would]:
    """What deriving would do now, by table. Raises Refusal, DatabaseUnreachable."""
    with open_transfer(latest(), "capabilities") as transfer:
        return capabilities.would(transfer)


def derive(*, by: str, reason: str = "") -> list[Derived]:
    """Derive it again for tenants that live in legacy. What somebody decided stays. Raises Refusal, DatabaseUnreachable."""
    run, done = latest(), []
    with open_transfer(run, "capabilities") as transfer, transaction.atomic():
        with transfer.target.transaction():
            batches.only_writer(transfer.target)
            capabilities.prepare(transfer)  # of a run that an earlier version made
            for table in capabilities.prepared(transfer):
                done.append(Derived(table.target, *capabilities.grant(transfer, table, SQL("true"), transfer.in_iam)))
        counts = {each.table: each.written + each.removed for each in done}
        chain.record("derive_capabilities", of=run, run=run.pk, by=by, reason=reason, data={"counts": counts})
    return done


def follow(tenants: Sequence[str] | None = None) -> None:
    """After an edit, of these tenants or of all: what hangs on it, and a run derived. What cannot be now is for “Derive again”."""
    try:
        _follow(tenants)
    except (Refusal, DatabaseError, psycopg.Error) as error:
        log.warning("not_derived_again", error=str(error)[:200])


def _follow(tenants: Sequence[str] | None) -> None:
    homes = TenantHome.objects.all() if tenants is None else TenantHome.objects.filter(pk__in=tenants)
    if TenantHome.objects.exists() and not homes.filter(home=TenantHome.Home.LEGACY).exists():
        return  # in the IAM, the IAM decides
    run = latest()
    owners = SQL("true") if tenants is None else SQL("t.id = ANY({}::uuid[])").format(Literal(list(tenants)))
    with open_transfer(run, "capabilities") as transfer, transfer.target.transaction():
        batches.only_writer(transfer.target)
        for table in capabilities.prepared(transfer):
            if table.source == "users" and tenants is not None:
                continue  # who is enrolled hangs on the system's offer alone
            capabilities.grant(transfer, table, owners, transfer.in_iam)


def undo(*, by: str, reason: str) -> dict[str, int]:
    """Take back what runs derived, the latest first, and nobody has edited since: data only, tenants and users stay. Returns rows
    left, by table.

    Raises Refusal, also without a reason; DatabaseUnreachable.
    """
    require_reason(reason, to="Taking capabilities back", subject="capabilities")
    run, left = latest(), Counter[str]()
    if run.capture:
        todo = "Uncapture the run, or undo it."
        raise Refusal("Catch-up keeps deriving them from legacy.", subject=str(run), todo=todo)
    with transaction.atomic():
        for each in Run.objects.filter(dry_run=False, state=State.COMPLETED).order_by("-id"):
            with open_transfer(each, "capabilities") as transfer, transfer.target.transaction():
                for table in reversed(capabilities.prepared(transfer)):
                    left[table.target] += undoing.whole(transfer, table)
        chain.record("undo_capabilities", of=run, run=run.pk, by=by, reason=reason, data={"counts": dict(left)})
    return dict(left)
