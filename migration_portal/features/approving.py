"""What of a feature may want a second person: whatever reaches more people than before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flags.models import Flag
from migration_portal.approvals.actions import Action, Arguments, Figures, register
from migration_portal.console import moment
from migration_portal.features import ramp, schedule, switch
from migration_portal.refusal import Refusal


def _flag(arguments: Arguments) -> Flag:
    flag = Flag.objects.filter(name=arguments["flag"]).first()
    if flag is None:
        raise Refusal("There is no such feature any more.", subject=arguments["flag"])
    return flag


def _values(flag: Flag, arguments: Arguments) -> dict[str, Any]:
    return ({} if flag.derived else switch.parse(arguments)) | ({"killed": False} if arguments["revive"] else {})


def widens(arguments: Arguments) -> bool:
    """Whether it would reach more people than now. Raises Refusal."""
    flag = _flag(arguments)
    return switch.needed(flag, _values(flag, arguments)) == "flags.widen_flag"


def _widen(arguments: Arguments, by: str, reason: str) -> str:
    flag = _flag(arguments)
    if at := moment(arguments.get("at", "")):
        schedule.plan(flag, _values(flag, arguments), at=at, by=by, reason=reason)
        return "Scheduled: the page shows what waits. A change by hand until then takes its place."
    switch.switch(flag, by=by, reason=reason, **_values(flag, arguments))
    return "Changed; it is seen everywhere within five seconds."


def _widened(arguments: Arguments) -> Figures:
    flag = _flag(arguments)
    values = _values(flag, arguments)
    now, then = switch.reach(flag), switch.reach(flag, **values)
    diff = [
        (name.capitalize(), f"{_text(getattr(flag, name))} → {_text(value)}")
        for name, value in values.items() if getattr(flag, name) != value
    ]  # fmt: skip
    at = moment(arguments.get("at", ""))
    return [
        *([("When", f"{at:%Y-%m-%d %H:%M %Z}")] if at else []), *diff,
        ("Users it is on for", f"{now.users:,} → {then.users:,} of {then.all_users:,}"),
        ("Tenants it is on for", f"{now.tenants:,} → {then.tenants:,} of {then.all_tenants:,}"),
    ]  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "nobody"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _ramp(arguments: Arguments, by: str, reason: str) -> str:
    steps, hours = ramp.parse(arguments)
    ramp.start_ramp(_flag(arguments), steps=steps, hours=hours, by=by, reason=reason)
    return "The ramp has begun: the first step is taken within a minute, if health is good."


def _ramped(arguments: Arguments) -> Figures:
    steps, hours = ramp.parse(arguments)
    then = switch.reach(_flag(arguments), percentage=steps[-1])
    return [
        ("Steps, per cent", ", ".join(map(str, steps))), ("Hours between", f"{hours:g}"),
        ("Users it is on for at the end", f"{then.users:,} of {then.all_users:,}"),
    ]  # fmt: skip


VALUES = ("percentage", "kind", "targets", "excluded", "waves", "at")
"""What a form says about a feature."""
WIDEN = register(Action(
    "widen_feature", "Widening a feature", "flags.widen_flag", _widen, _widened,
    {"flag": str, "revive": bool} | dict.fromkeys(VALUES, str),
))  # fmt: skip
RAMP = register(Action(
    "ramp_feature", "Raising a feature step by step", "flags.widen_flag", _ramp, _ramped,
    {"flag": str, "steps": str, "hours": str},
))  # fmt: skip
