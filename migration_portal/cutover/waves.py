"""Waves: tenants that are cut over together, planned, started by hand or by the clock, paused, stopped, skipped, promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from flags.models import TenantHome
from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.cutover import progress, reads_first, requests, selection, windows
from migration_portal.cutover.guarding import not_well
from migration_portal.cutover.models import UNDER_WAY, Cutover, Wave
from migration_portal.cutover.windows import within
from migration_portal.locks import Lock, one_after_the_other
from migration_portal.refusal import Refusal, require_ahead, require_reason

State = Wave.State
LONGEST_READS = 60 * 24 * 30


def plan(
    name: str,
    rule: Mapping[str, Any],
    *,
    by: str,
    reason: str = "",
    at_once: int = 4,
    starts_at: datetime | None = None,
    window: tuple[time, time] | None = None,
    reads_minutes: int = 0,
    guarded: bool = True,
) -> Wave:
    """Choose the tenants now, and keep them as a wave that has not begun. Raises Refusal, DatabaseUnreachable."""
    name = name.strip()
    if not name or len(name) > 100:
        raise Refusal("A wave has a name of at most 100 characters.", subject="wave")
    if not 1 <= at_once <= 64:
        raise Refusal("From 1 to 64 tenants move at once.", subject=name)
    if not 0 <= reads_minutes <= LONGEST_READS:
        raise Refusal(f"Reads come first for at most {LONGEST_READS:,} minutes.", subject=name)
    require_ahead(starts_at, subject=name)
    with chain.recorded_last():
        one_after_the_other(connection, Lock.WAVES)  # two who plan at once choose no tenant twice
        if Wave.objects.filter(name=name).exists() or Cutover.objects.filter(wave=name).exists():
            raise Refusal("There is a wave of that name already.", subject=name, todo="Choose another name.")
        chosen = selection.select(rule).tenants
        if not chosen:
            raise Refusal("No tenant fits.", subject=name, todo="Change the rule, and preview it.")
        wave = Wave.objects.create(
            name=name, rule=dict(rule), at_once=at_once, starts_at=starts_at, guarded=guarded, reason=reason, planned_by=by,
            opens=window[0] if window else None, closes=window[1] if window else None, reads_minutes=reads_minutes,
        )  # fmt: skip
        wave.tenants.set(chosen)
        chain.record("plan_wave", of=wave, by=by, reason=reason, data={"wave": name, "count": len(chosen)})
    return wave


def start(wave: Wave, *, by: str, reason: str = "") -> None:
    """Begin: the guard and the window may make it wait. A tenant that is being moved already is left out. Raises Refusal."""
    with chain.recorded_last():
        wave = _locked(wave, State.PLANNED)
        _request(wave, left(wave), by=by, reason=reason)
        _to(wave, State.RUNNING, by=by, reason=reason, started_at=timezone.now(), waits_for=_why_wait(wave))


def pause(wave: Wave, *, by: str, reason: str = "") -> None:
    """Begin no further move; those that have begun end. Raises Refusal."""
    with chain.recorded_last():
        _to(_locked(wave, State.RUNNING), State.PAUSED, by=by, reason=reason)


def resume(wave: Wave, *, by: str, reason: str = "") -> None:
    """Go on, also with tenants whose moves were stopped while it paused. Raises Refusal."""
    with chain.recorded_last():
        wave = _locked(wave, State.PAUSED)
        _request(wave, left(wave, stopped=True), by=by, reason=reason)
        _to(wave, State.RUNNING, by=by, reason=reason, waits_for=_why_wait(wave))
    transaction.on_commit(lambda: messages.send("cutover.work", queue="follow"))


def stop(wave: Wave, *, by: str, reason: str) -> int:
    """No further tenant moves, and what has not flipped yet does not. Returns how many moves were stopped. Raises Refusal."""
    require_reason(reason, to="Stopping", subject=wave.name)
    with chain.recorded_last():
        wave = _locked(wave, State.RUNNING, State.PAUSED)
        _to(wave, State.STOPPED, by=by, reason=reason, ended_at=timezone.now())
        reads_first.end(wave.tenants.all(), by=by, reason=reason)
        return stop_moves(Cutover.objects.filter(wave=wave.name), by=by, reason=reason)


def skip(wave: Wave, *, by: str, reason: str) -> None:
    """Never begin it; its tenants are free for other waves. Raises Refusal."""
    require_reason(reason, to="Skipping", subject=wave.name)
    with chain.recorded_last():
        _to(_locked(wave, State.PLANNED), State.SKIPPED, by=by, reason=reason, ended_at=timezone.now())


def promote(wave: Wave, *, by: str, reason: str) -> None:
    """Begin a planned wave now, or let one that waits go on: neither its time, its window, its guard, nor reads that come first
    count any more.

    Raises Refusal.
    """
    require_reason(reason, to="Promoting", subject=wave.name)
    with chain.recorded_last():
        Wave.objects.filter(pk=wave.pk).update(guarded=False, opens=None, closes=None, starts_at=None, reads_minutes=0)
        wave = _locked(wave, State.PLANNED, State.RUNNING)
        chain.record("promote_wave", of=wave, by=by, reason=reason, data={"wave": wave.name})
        if wave.state == State.PLANNED:
            start(wave, by=by, reason=reason)
        else:
            Wave.objects.filter(pk=wave.pk).update(waits_for="")
    transaction.on_commit(lambda: messages.send("cutover.work", queue="follow"))


def retry(wave: Wave, *, by: str, reason: str = "") -> int:
    """Ask once more for its tenants that were blocked or stopped. Returns how many. Raises Refusal."""
    with chain.recorded_last():
        wave = _locked(wave, State.RUNNING, State.PAUSED, State.DONE, State.STOPPED)
        again = left(wave)
        if not again:
            raise Refusal("None of its tenants waits for another attempt.", subject=wave.name)
        _request(wave, again, by=by, reason=reason)
        if wave.state != State.RUNNING:
            _to(wave, State.RUNNING, by=by, reason=reason, ended_at=None, waits_for=_why_wait(wave))
    return len(again)


def left(wave: Wave, *, stopped: bool = False) -> list[TenantHome]:
    """Its tenants that live in legacy, that nobody is moving, that nobody moved back, and that no other open wave has; or only
    those whose move was stopped.
    """
    moving = set(Cutover.objects.under_way().values_list("tenant_id", flat=True))
    latest = {tenant: move.state for tenant, move in progress.latest(wave).items()}
    wanted = [Cutover.State.STOPPED] if stopped else [Cutover.State.STOPPED, Cutover.State.BLOCKED, None]
    elsewhere = Wave.objects.open().exclude(pk=wave.pk).values("tenants")
    homes = wave.tenants.filter(home=TenantHome.Home.LEGACY).exclude(pk__in=elsewhere)
    return [tenant for tenant in homes if tenant.pk not in moving and latest.get(tenant.pk) in wanted]


def _request(wave: Wave, tenants: Sequence[TenantHome], *, by: str, reason: str) -> None:
    """Where reads come first, they begin anew."""
    if tenants and wave.reads_minutes:
        reads_first.begin(tenants, by=by, reason=reason or wave.reason)
        wave.reads_began_at = timezone.now()
        Wave.objects.filter(pk=wave.pk).update(reads_began_at=wave.reads_began_at)
    if tenants:
        requests.request(tenants, TenantHome.Home.IAM, by=by, reason=reason or wave.reason, wave=wave.name)


def stop_all(*, by: str, reason: str) -> int:
    """Every move that has not flipped, of any wave or none; waves that run are paused. Returns how many moves were stopped."""
    require_reason(reason, to="Stopping", subject="moves")
    with chain.recorded_last():
        for wave in Wave.objects.filter(state=State.RUNNING).select_for_update():
            _to(wave, State.PAUSED, by=by, reason=reason)
            reads_first.end(wave.tenants.all(), by=by, reason=reason)
        return stop_moves(Cutover.objects.all(), by=by, reason=reason)


def stop_moves(moves: Any, *, by: str, reason: str) -> int:
    """Of these, those that have not flipped: a move asks before each step, and last in the transaction of its flip."""
    # Locked in one order: two who stop the same moves do not wait for each other.
    going = list(moves.filter(state__in=UNDER_WAY).order_by("pk").select_for_update().values_list("pk", flat=True))
    count = Cutover.objects.filter(pk__in=going).update(
        state=Cutover.State.STOPPED, error=f"Stopped by {by}: {reason}", finished_at=timezone.now()
    )
    chain.record("stop_moves", object_type="tenants", by=by, reason=reason, data={"count": count})
    return count


def tick() -> None:
    """Start what is due, let wait or go on what the guard and the windows say, and end what has no move left."""
    for wave in Wave.objects.filter(state=State.PLANNED, starts_at__lte=timezone.now()):
        try:
            start(wave, by=wave.planned_by, reason="Its time has come.")
        except Refusal as refusal:  # one that cannot begin keeps no other from it, nor any move
            Wave.objects.filter(pk=wave.pk).update(waits_for=str(refusal))
    for wave in Wave.objects.filter(state=State.RUNNING):
        _look_after(wave)


def _look_after(wave: Wave) -> None:
    with chain.recorded_last():
        held = Wave.objects.select_for_update().get(pk=wave.pk)
        if held.state != State.RUNNING:
            return
        if not Cutover.objects.under_way().filter(wave=held.name).exists():
            _to(held, State.DONE, by="system", ended_at=timezone.now(), waits_for="")
            return
        why = _why_wait(held)
        if why != held.waits_for:
            Wave.objects.filter(pk=held.pk).update(waits_for=why)
            if bool(why) != bool(held.waits_for):
                chain.record(
                    "wait_wave" if why else "release_wave",
                    of=held,
                    by="system",
                    data={"wave": held.name, "reason": why},
                )


def _why_wait(wave: Wave) -> str:
    if wave.reads_minutes and wave.reads_began_at:
        until = wave.reads_began_at + timedelta(minutes=wave.reads_minutes)
        if timezone.now() < until:
            at = timezone.localtime(
                until, timezone.get_default_timezone()
            )  # kept as text: whoever reads it, it is one time
            return f"Reads first: the writes of its tenants move from {at:%Y-%m-%d %H:%M %Z} on."
        waiting = Cutover.objects.under_way().filter(wave=wave.name, tenant__home=TenantHome.Home.LEGACY)
        if back := waiting.filter(tenant__reads_since=None).count():
            return f"Somebody gave the reads of {back:,} of its tenants back to legacy: promote the wave, or stop it."
    if wave.opens and wave.closes and not within(windows.now(), wave.opens, wave.closes):
        return f"Its maintenance window is from {wave.opens:%H:%M} to {wave.closes:%H:%M} ({timezone.get_default_timezone_name()})."
    return not_well() if wave.guarded else ""


def _locked(wave: Wave, *states: str) -> Wave:
    """The wave as it is now, held until the transaction ends. Raises Refusal if it is in none of these states."""
    held = Wave.objects.select_for_update().get(pk=wave.pk)
    if held.state not in states:
        raise Refusal(f"It is {held.state}.", subject=held.name, todo="Reload the page to see what happened.")
    return held


def _to(wave: Wave, state: str, *, by: str, reason: str = "", **values: Any) -> None:
    chain.record(
        f"wave_{state}", of=wave, by=by, reason=reason, data={"wave": wave.name, "from": wave.state, "to": state}
    )
    Wave.objects.filter(pk=wave.pk).update(state=state, **values)
