"""Changing a feature at a given time: kept until then, and made only if the feature is still what it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from flags import change as changing
from flags.models import Flag, Ramp, ScheduledChange
from migration_portal.audit import chain
from migration_portal.features.health import blockers
from migration_portal.features.switch import switch
from migration_portal.monitoring import alerts
from migration_portal.refusal import Refusal, require_reason

PATIENCE = timedelta(hours=1)
"""How long a change that widens waits for good health before it is given up."""
_FARTHEST = timedelta(days=366)


@transaction.atomic
def plan(flag: Flag, values: dict[str, Any], *, at: datetime, by: str, reason: str) -> ScheduledChange:
    """Keep what differs from the feature as it stands, to be made `at` that time. Raises Refusal."""
    require_reason(reason, to="A scheduled change", subject=flag.name)
    flag = Flag.objects.select_for_update().get(pk=flag.pk)
    try:
        values = changing.checked(values)
    except changing.Refused as refused:
        raise Refusal(str(refused), subject=flag.name) from None
    coming = {name: value for name, value in values.items() if getattr(flag, name) != value}
    if flag.derived or not coming:
        raise Refusal("There is nothing to change.", subject=flag.name, todo="Set the form to what it is to become.")
    if not timezone.now() < at < timezone.now() + _FARTHEST:
        raise Refusal("That time is past, or more than a year away.", subject=f"{at:%Y-%m-%d %H:%M %Z}")
    if flag.ramps.filter(state=Ramp.State.RUNNING).exists():
        raise Refusal("A ramp is under way.", subject=flag.name, todo="Stop it first, or let it end.")
    last = flag.changes.order_by("-pk").values_list("pk", flat=True).first() or 0
    made = ScheduledChange.objects.create(
        flag=flag, at=at, by=by, reason=reason, values=coming, widens=changing.widens(flag, **coming), last_seen=last
    )
    data = {"to": _plain(coming), "until": f"{at:%Y-%m-%dT%H:%M:%S%z}"}
    chain.record("schedule_change", of=flag, by=by, reason=reason, data=data)
    return made


@transaction.atomic
def cancel(change: ScheduledChange, *, by: str, reason: str) -> None:
    """It will not be made. Raises Refusal when it does not wait any more."""
    require_reason(reason, to="Cancelling a change", subject=change.flag.name)
    waits = ScheduledChange.objects.filter(pk=change.pk, state=ScheduledChange.State.WAITING)
    if not waits.update(state=ScheduledChange.State.CANCELLED, held=f"{by}: {reason}"):
        raise Refusal("It does not wait any more.", subject=change.flag.name)
    chain.record("cancel_scheduled_change", of=change.flag, by=by, reason=reason, data={"to": _plain(change.values)})


def widening() -> list[ScheduledChange]:
    """The changes that wait and would reach more people."""
    waiting = ScheduledChange.objects.filter(state=ScheduledChange.State.WAITING, widens=True)
    return list(waiting.select_related("flag"))


def tick(health: Callable[[], list[str]] = blockers) -> int:
    """Make the changes that are due, in the order of their times, or say why not. Returns how many were made."""
    due = ScheduledChange.objects.filter(state=ScheduledChange.State.WAITING, at__lte=Now()).order_by("at", "pk")
    return sum(_make(pk, health) for pk in due.values_list("pk", flat=True))


@transaction.atomic
def _make(pk: int, health: Callable[[], list[str]]) -> bool:
    waiting = ScheduledChange.objects.select_for_update(skip_locked=True, of=("self",)).select_related("flag")
    change = waiting.filter(pk=pk, state=ScheduledChange.State.WAITING).first()
    if change is None:
        return False
    widens = changing.widens(change.flag, **change.values)
    if widens and not change.widens:
        return _give_up(change, "By now it would reach more people, and nobody agreed to that.")
    if since := change.changed_since:
        return _give_up(change, f"{since.by} changed the feature since it was scheduled: {since.reason}")
    if widens and (reasons := health()):
        why = " ".join(reasons)
        if change.at < timezone.now() - PATIENCE:
            return _give_up(change, why)
        ScheduledChange.objects.filter(pk=pk).update(held=why)
        return False
    try:
        change.made = switch(change.flag, by=change.by, reason=f"scheduled: {change.reason}", **change.values)
    except Refusal as refusal:
        return _give_up(change, str(refusal))
    change.state, change.held = ScheduledChange.State.MADE, ""
    change.save()
    return True


def _give_up(change: ScheduledChange, why: str) -> bool:
    change.state, change.held = ScheduledChange.State.MISSED, why
    change.save()
    alerts.inform(
        f"A scheduled change of {change.flag.name} was not made: {change.summary}.", why, key=f"schedule:{change.pk}"
    )
    chain.record("miss_scheduled_change", of=change.flag, by=change.by, reason=why, data={"to": _plain(change.values)})
    return False


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, list | bool) else str(value) for name, value in values.items()}
