"""The guard: triggers that refuse writes for a tenant on the side that does not own it. Optional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from psycopg import Connection

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.catchup.flows import captured_run, start_reverse
from migration_portal.cutover.unmoved import unmoved
from migration_portal.engine import capture, catalog, owner
from migration_portal.engine.guard import guarded, install_guard, remove_guard, set_home
from migration_portal.locks import Lock, only_one
from migration_portal.plan import directions
from migration_portal.refusal import Refusal
from migration_portal.runs import ownership
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run


@dataclass(frozen=True)
class Mode:
    """Whether each side refuses writes for tenants that live on the other."""

    legacy: bool
    iam: bool

    @property
    def on(self) -> bool:
        return self.legacy and self.iam


def mode() -> Mode:
    """What is in force now. Raises DatabaseUnreachable."""
    run = captured_run()
    if run is None:
        return Mode(False, False)
    with databases.both("guard") as (legacy, iam):
        return mode_of(run, legacy, iam)


def mode_of(run: Run, legacy: Connection[Any], iam: Connection[Any]) -> Mode:
    """The same of a run that captures, by sessions that are open. Raises psycopg.Error."""
    known = catalog.recall(iam, run.key)
    if known is None:
        return Mode(False, False)
    return Mode(guarded(legacy, run.plan), guarded(iam, directions.backward(run.plan, *known)))


def switch(*, on: bool, by: str, reason: str = "") -> None:
    """Install the guard on both sides, or take it away. Raises Refusal without a run that captures; psycopg.Error."""
    run = captured_run()
    if run is None:
        raise Refusal("No run captures changes.", subject="guard", todo="Start a run with capture.")
    with unmoved("guard"), open_transfer(run, "guard") as transfer, transaction.atomic():
        chain.record("guard", of=run, run=run.pk, by=by, reason=reason, data={"guard": on})
        plan = directions.backward(transfer.plan, transfer.source_catalog, transfer.target_catalog)
        assert transfer.queue is not None
        if on:
            start_reverse(transfer)
            _agree()
            install_guard(transfer.queue, transfer.plan, transfer.source_catalog, by_default=True)
            install_guard(transfer.target, plan, transfer.target_catalog, by_default=False)
        else:
            remove_guard(transfer.queue, transfer.plan)
            remove_guard(transfer.target, plan)


def agree() -> int:
    """Make both guards agree with the homes, as after a crash between the flip and its second half. Returns corrections.

    Not while tenants are being moved: a move closes the old side before it changes the home.
    """
    with only_one(connection, Lock.MOVES) as alone:
        return _agree() if alone else 0


def _agree() -> int:
    corrected = 0
    for connect, in_legacy in ((databases.legacy_writable, True), (databases.iam, False)):
        with connect("guard") as session, session.transaction():
            if not capture.installed(session):
                continue
            owner.keep(session, "portal_capture")  # a flip of the portal that this one may be a copy of signs it
            ownership.check(session, "portal_capture", "legacy database" if in_legacy else "IAM database")
            there = dict(session.execute("SELECT tenant, here FROM portal_capture.homes").fetchall())
            for tenant in TenantHome.objects.all():
                id = tenant.legacy_tenant if in_legacy else tenant.tenant
                here = (tenant.home == TenantHome.Home.LEGACY) is in_legacy
                if there.get(id.lower(), in_legacy) is not here:
                    set_home(session, id, here=here)
                    corrected += 1
    return corrected
