"""The guard: triggers that refuse writes for a tenant on the side that does not own it. Optional."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.catchup.flows import captured_run, start_reverse
from migration_portal.cutover.mover import only_mover
from migration_portal.engine import capture
from migration_portal.plan import directions
from migration_portal.plan.errors import Refusal
from migration_portal.runs.opening import sides_of


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
    with sides_of(run, "guard") as sides:
        plan = directions.backward(sides.plan, sides.source, sides.target)
        assert sides.queue is not None
        return Mode(capture.guarded(sides.queue, sides.plan), capture.guarded(sides.iam, plan))


def switch(*, on: bool, by: str, reason: str = "") -> None:
    """Install the guard on both sides, or take it away. Raises Refusal without a run that captures; psycopg.Error."""
    run = captured_run()
    if run is None:
        raise Refusal("No run captures changes.", subject="guard", todo="Start a run with capture.")
    with only_mover() as alone, sides_of(run, "guard") as sides, transaction.atomic():
        if not alone:
            raise Refusal("Tenants are being moved.", subject="guard", todo="Wait for the moves to end.")
        chain.record("guard", of=run, run=run.pk, by=by, reason=reason, data={"guard": on})
        plan = directions.backward(sides.plan, sides.source, sides.target)
        assert sides.queue is not None
        if on:
            start_reverse(sides)
            _agree()
            capture.install_guard(sides.queue, sides.plan, sides.source, by_default=True)
            capture.install_guard(sides.iam, plan, sides.target, by_default=False)
        else:
            capture.remove_guard(sides.queue, sides.plan)
            capture.remove_guard(sides.iam, plan)


def agree() -> int:
    """Make both guards agree with the homes, as after a crash between the flip and its second half. Returns corrections.

    Not while tenants are being moved: a move closes the old side before it changes the home.
    """
    with only_mover() as alone:
        return _agree() if alone else 0


def _agree() -> int:
    corrected = 0
    for connect, in_legacy in ((databases.legacy_writable, True), (databases.iam, False)):
        with connect("guard") as connection:
            if not capture.installed(connection):
                continue
            there = dict(connection.execute("SELECT tenant, here FROM portal_capture.homes").fetchall())
            for tenant in TenantHome.objects.all():
                id = tenant.legacy_tenant if in_legacy else tenant.tenant
                here = (tenant.home == TenantHome.Home.LEGACY) is in_legacy
                if there.get(id, in_legacy) is not here:
                    capture.decide(connection, id, here=here)
                    corrected += 1
    return corrected
