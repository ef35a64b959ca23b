"""Actions that change who answers: doors, ramps, features, homes; and undoing what the run copied."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from flags import maintenance
from flags.models import Flag, Ramp, TenantHome
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover import reads_first, requests, waves
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.features import schedule
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
    closed = maintenance.current()
    if closed is None:
        with transaction.atomic():
            step.still_wanted()
            closed = doors.close_doors(by=by(step), reason=step.of.reason)
            step.keep(ours=True)
    if timezone.now() - closed.began_at < _KNOWN_EVERYWHERE or not maintenance.quiet():
        step.tell("Closed; requests that had begun are coming to their end.")
        return None
    return "Writes are answered with 503 and Retry-After; reads go on."


def open_doors(step: Step) -> str:
    closed, closing = maintenance.current(), step.before("close_doors")
    if closed is None:
        raise NotNeeded("They are open.")
    if closing is not None and not closing.data.get("ours"):
        raise NotNeeded(f"{closed.by} had closed them before, and opens them: {closed.reason}")
    doors.open_doors(by=by(step), reason=step.of.reason)
    return "Everything is answered again."


def stop_ramps(step: Step) -> str:
    names = growing()
    if not names:
        raise NotNeeded("No ramp is under way, and no change is scheduled that widens.")
    with transaction.atomic():
        step.still_wanted()
        for ramp in running_ramps():
            stop_ramp(ramp.flag, by=by(step), reason=step.of.reason)
        for change in schedule.widening():
            schedule.cancel(change, by=by(step), reason=step.of.reason)
    return f"Stopped: {', '.join(names)}."


def growing() -> list[str]:
    """Names of the features that the clock is about to widen: by a ramp, or by a change that is scheduled."""
    return [ramp.flag.name for ramp in running_ramps()] + [change.flag.name for change in schedule.widening()]


def running_ramps() -> list[Ramp]:
    return list(Ramp.objects.filter(state=Ramp.State.RUNNING).select_related("flag"))


def switch_off_features(step: Step) -> str:
    flags = list(Flag.objects.filter(name__in=step.of.features, killed=False))
    if not flags:
        raise NotNeeded("They are off.")
    with transaction.atomic():
        step.still_wanted()
        for flag in flags:
            switch(flag, by=by(step), reason=step.of.reason, killed=True)
    return f"Off for everybody: {', '.join(flag.name for flag in flags)}."


def in_scope(made: RollBack) -> list[TenantHome]:
    """The tenants at home in the IAM that the roll-back is about: those of its wave, or all."""
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM)
    return list(moved.filter(wave=made.wave) if made.kind == Kind.IMMEDIATE else moved)


def reverse_tenants(step: Step) -> str | None:
    """Request the moves and wait for them, and for what was on its way to the IAM. Raises Refusal for what could not be moved."""
    coming = Cutover.objects.under_way().filter(home=TenantHome.Home.IAM)
    reading = TenantHome.objects.filter(reads_since__isnull=False)
    if step.of.kind == Kind.IMMEDIATE:
        coming, reading = coming.filter(wave=step.of.wave), reading.filter(waves__name=step.of.wave)
    reads_first.end(reading, by=by(step), reason=step.of.reason)
    _stop_waves(step)
    found = in_scope(step.of)
    movable = [tenant for tenant in found if not tenant.final]
    asked = set() if step.data.get("again") else set(step.data.get("tenants", ()))
    if fresh := [tenant for tenant in movable if tenant.pk not in asked]:
        _request(step, fresh)
        return None
    wanted = step.data.get("tenants", [])
    if not wanted and not coming.exists():
        raise NotNeeded("No tenant of it lives in the IAM." if not found else "All of them are finalized.")
    step.tell(f"Back in legacy: {len(wanted) - len(movable):,} of {len(wanted):,}.")
    if Cutover.objects.under_way().filter(tenant__in=movable).exists() or coming.exists():
        return None
    if movable:
        step.keep(again=True)
        raise Refusal(_why(movable), todo="Correct that and try again, or skip the step: the others are back.")
    final = f" Finalized, and not moved: {len(found):,}." if found else ""
    return f"Back in legacy: {len(wanted):,} tenants.{final}"


def _stop_waves(step: Step) -> None:
    """What brings tenants to the IAM ends before they are brought back."""
    going = Wave.objects.filter(state__in=(Wave.State.RUNNING, Wave.State.PAUSED))
    for wave in going.filter(name=step.of.wave) if step.of.kind == Kind.IMMEDIATE else going:
        waves.stop(wave, by=by(step), reason=step.of.reason)


def _request(step: Step, movable: list[TenantHome]) -> None:
    busy = set(Cutover.objects.under_way().filter(tenant__in=movable).values_list("tenant", flat=True))
    with transaction.atomic():
        step.still_wanted()
        if asked := [tenant for tenant in movable if tenant.pk not in busy]:
            requests.reverse(asked, by=by(step), reason=step.of.reason, wave=step.of.wave)
        everyone = {*step.data.get("tenants", ()), *(tenant.pk for tenant in movable)}
        step.keep(tenants=sorted(everyone), again=False)


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
            step.still_wanted()
            undo(run, by=by(step), reason=step.of.reason)
            step.keep(run=run.pk)
    step.tell(f"{run} is being undone.")
    return None
