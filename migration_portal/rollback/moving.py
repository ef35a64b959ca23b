"""Actions that change who answers: doors, ramps, features, homes; and undoing what the run copied."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from flags import maintenance
from flags.models import Flag, Ramp, TenantHome
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.features.ramp import stop_ramp
from migration_portal.features.switch import switch
from migration_portal.refusal import Refusal
from migration_portal.rollback import doors
from migration_portal.rollback.models import NotNeeded, RollBack, Step
from migration_portal.rollback.plans import Kind
from migration_portal.runs.models import Run
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo

_NAMED = 3
_KNOWN_EVERYWHERE = timedelta(seconds=2 * maintenance.SECONDS)


def by(step: Step) -> str:
    return f"roll-back {step.of.pk}"


def close_doors(step: Step) -> str | None:
    closed = maintenance.current() or doors.close_doors(by=by(step), reason=step.of.reason)
    if timezone.now() - closed.began_at < _KNOWN_EVERYWHERE or not maintenance.quiet():
        step.tell("Closed; requests that had begun are coming to their end.")
        return None
    return "Writes are answered with 503 and Retry-After; reads go on."


def open_doors(step: Step) -> str:
    if maintenance.current() is None:
        raise NotNeeded("They are open.")
    doors.open_doors(by=by(step), reason=step.of.reason)
    return "Everything is answered again."


def stop_ramps(step: Step) -> str:
    ramps = running_ramps()
    if not ramps:
        raise NotNeeded("No ramp is under way.")
    with transaction.atomic():
        for ramp in ramps:
            stop_ramp(ramp.flag, by=by(step), reason=step.of.reason)
    return f"Stopped: {', '.join(ramp.flag.name for ramp in ramps)}."


def running_ramps() -> list[Ramp]:
    return list(Ramp.objects.filter(state=Ramp.State.RUNNING).select_related("flag"))


def switch_off_features(step: Step) -> str:
    flags = list(Flag.objects.filter(name__in=step.of.features, killed=False))
    if not flags:
        raise NotNeeded("They are off.")
    with transaction.atomic():
        for flag in flags:
            switch(flag, by=by(step), reason=step.of.reason, killed=True)
    return f"Off for everybody: {', '.join(flag.name for flag in flags)}."


def in_scope(made: RollBack) -> list[TenantHome]:
    """The tenants at home in the IAM that the roll-back is about: those of its wave, or all."""
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM)
    return list(moved.filter(wave=made.wave) if made.kind == Kind.IMMEDIATE else moved)


def reverse_tenants(step: Step) -> str | None:
    """Request the moves, once, and wait for them. Raises Refusal for tenants that could not be moved."""
    if "tenants" not in step.data or step.data.get("again"):
        _request(step)
        return None
    wanted = step.data["tenants"]
    left = TenantHome.objects.filter(pk__in=wanted, home=TenantHome.Home.IAM)
    moving = Cutover.objects.under_way().filter(tenant__in=left).count()
    step.tell(f"Back in legacy: {len(wanted) - len(left):,} of {len(wanted):,}.")
    if moving:
        return None
    if left:
        step.keep(again=True)
        raise Refusal(_why(list(left)), todo="Correct that and try again, or skip the step: the others are back.")
    final = f" Finalized, and not moved: {step.data['final']:,}." if step.data.get("final") else ""
    return f"Back in legacy: {len(wanted):,} tenants.{final}"


def _request(step: Step) -> None:
    found = in_scope(step.of)
    movable = [tenant for tenant in found if not tenant.final]
    if not movable:
        raise NotNeeded("No tenant of it lives in the IAM." if not found else "All of them are finalized.")
    busy = set(Cutover.objects.under_way().filter(tenant__in=movable).values_list("tenant", flat=True))
    with transaction.atomic():
        if asked := [tenant for tenant in movable if tenant.pk not in busy]:
            requests.reverse(asked, by=by(step), reason=step.of.reason, wave=step.of.wave)
        everyone = {*step.data.get("tenants", ()), *(tenant.pk for tenant in movable)}
        step.keep(tenants=sorted(everyone), final=len(found) - len(movable), again=False)


def _why(left: list[TenantHome]) -> str:
    errors = dict(
        Cutover.objects.filter(tenant__in=left, home=TenantHome.Home.LEGACY)
        .order_by("id")
        .values_list("tenant", "error")
    )
    shown = "; ".join(f"{tenant}: {errors.get(tenant.pk) or 'not moved'}" for tenant in left[:_NAMED])
    return f"Could not be moved: {len(left):,}. {shown}{' and others' if len(left) > _NAMED else ''}."


def undo_run(step: Step) -> str | None:
    run = Run.objects.filter(pk=step.data["run"]).first() if step.data.get("run") else captured_run()
    if run is None:
        raise NotNeeded("No run has copied anything that is still there.")
    if run.state == State.UNDONE:
        return f"{run} is undone. Capture in legacy has ended with it."
    if run.state != State.UNDOING:
        if step.data.get("run"):
            step.keep(run=None)
            raise Refusal(f"It is {run.state}.", subject=str(run), todo="See the run for why, then try again.")
        with transaction.atomic():
            undo(run, by=by(step), reason=step.of.reason)
            step.keep(run=run.pk)
    step.tell(f"{run} is being undone.")
    return None
