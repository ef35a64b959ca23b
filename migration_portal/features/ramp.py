"""Raising a feature's percentage step by step, by the clock, while health is good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from flags.models import Flag, Ramp
from migration_portal.audit import chain
from migration_portal.features.health import blockers
from migration_portal.features.switch import switch
from migration_portal.refusal import Refusal, require_reason


def parse(post: Any) -> tuple[list[Decimal], float]:
    """Steps in per cent, rising, and the hours between them. Raises Refusal."""
    try:
        steps = [Decimal(part) for part in post.get("steps", "").replace(",", " ").split()]
        hours = float(post.get("hours", ""))
    except (InvalidOperation, ValueError):
        steps, hours = [], 0.0
    rising = all(step.is_finite() and 0 < step <= 100 for step in steps) and steps == sorted(set(steps))
    if not steps or not rising or not 0 < hours <= 24 * 60:
        raise Refusal("Invalid steps.", todo="Write rising percentages, such as 1, 5, 25, 100, and the hours between.")
    return steps, hours


@transaction.atomic
def start_ramp(flag: Flag, *, steps: list[Decimal], hours: float, by: str, reason: str) -> Ramp:
    """The first step is taken by the next tick, if health allows. Raises Refusal."""
    if flag.ramps.filter(state=Ramp.State.RUNNING).exists():
        raise Refusal("A ramp is under way already.", subject=flag.name, todo="Stop it first.")
    coming = [step for step in steps if step > flag.percentage]
    require_reason(reason, to="A ramp", subject=flag.name)
    if flag.killed or flag.derived or not coming:
        raise Refusal(
            "There is nothing to raise.", subject=flag.name,
            todo="A ramp needs a feature that is not killed, and a step above its percentage.",
        )  # fmt: skip
    made = Ramp.objects.create(flag=flag, steps=coming, hours=hours, next_at=timezone.now(), by=by, reason=reason)
    chain.record("start_ramp", of=flag, by=by, reason=reason, data={"to": [str(step) for step in coming]})
    return made


@transaction.atomic
def stop_ramp(flag: Flag, *, by: str, reason: str) -> None:
    """Stay where it is. Raises Refusal when no ramp is under way."""
    if not flag.ramps.filter(state=Ramp.State.RUNNING).update(state=Ramp.State.STOPPED, held=f"{by}: {reason}"):
        raise Refusal("No ramp is under way.", subject=flag.name)
    chain.record("stop_ramp", of=flag, by=by, reason=reason)


def tick(health: Callable[[], list[str]] = blockers) -> int:
    """Take the steps that are due, or say why not. Returns how many were taken."""
    return sum(
        _advance(pk, health)
        for pk in Ramp.objects.filter(state="running", next_at__lte=Now()).values_list("pk", flat=True)
    )


@transaction.atomic
def _advance(pk: int, health: Callable[[], list[str]]) -> bool:
    ramp = Ramp.objects.select_for_update(skip_locked=True).filter(pk=pk, state="running", next_at__lte=Now()).first()
    if ramp is None:
        return False
    flag = Flag.objects.get(pk=ramp.flag_id)
    if flag.killed:
        Ramp.objects.filter(pk=pk).update(state=Ramp.State.STOPPED, held="The feature was killed.")
        return False
    if reasons := health():
        Ramp.objects.filter(pk=pk).update(held=" ".join(reasons))
        return False
    step, *left = ramp.steps
    if step > flag.percentage:
        switch(flag, by=ramp.by, reason=f"ramp: {ramp.reason}", percentage=step)
    ramp.steps, ramp.held, ramp.next_at = left, "", Now() + timedelta(hours=ramp.hours)
    ramp.state = Ramp.State.RUNNING if left else Ramp.State.DONE
    ramp.save()
    return True
