"""Changing flags. Every change is recorded with its reason; widening and narrowing are told apart, because who may differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from flags.decide import cycle
from flags.models import Flag, FlagChange

_FIELDS = ("percentage", "killed", "targets", "excluded", "waves", "kind", "salt", "bucket_group")


class Refused(Exception):
    """What was asked cannot be done; the message says why and what to do."""


def change(flag: Flag, *, by: str, reason: str, requires: Sequence[Flag] | None = None, **values: Any) -> FlagChange:
    """Set some of a flag's fields. Raises Refused: no reason, a derived flag, a bad value, or a circle of prerequisites."""
    if not reason.strip():
        raise Refused("Changing a flag needs a reason. Say why; it is kept with the change.")
    with transaction.atomic():
        flag = Flag.objects.select_for_update().get(pk=flag.pk)
        if flag.derived and (set(values) != {"killed"} or requires is not None):
            raise Refused(f"{flag.name} is derived from the migration; it can be killed and revived, not switched.")
        before = _state(flag)
        for name, value in checked(values).items():
            setattr(flag, name, value)
        flag.save()
        if requires is not None:
            flag.requires.set(requires)
            chains = {f.name: [r.name for r in f.requires.all()] for f in Flag.objects.prefetch_related("requires")}
            if circle := cycle(chains):
                raise Refused(f"These flags would require each other in a circle: {' → '.join(circle)}.")
        return FlagChange.objects.create(flag=flag, by=by, reason=reason, before=before, after=_state(flag))


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a flag's fields take them. Raises Refused for an unknown field and for a bad value."""
    if unknown := set(values) - set(_FIELDS):
        raise Refused(f"Not a field of a flag: {', '.join(sorted(unknown))}.")
    return {name: _checked(name, value) for name, value in values.items()}


def kill(flag: Flag, *, by: str, reason: str) -> FlagChange:
    """Off for everybody, at once, whatever else is set. What requires it goes off with it."""
    return change(flag, by=by, reason=reason, killed=True)


def widens(flag: Flag, **values: Any) -> bool:
    """Whether the change would turn the flag on for somebody for whom it is off."""
    if flag.killed and values.get("killed") is False:
        return True
    return (
        Decimal(str(values.get("percentage", flag.percentage))) > flag.percentage
        or bool(set(values.get("targets", flag.targets)) - set(flag.targets))
        or bool(set(values.get("waves", flag.waves)) - set(flag.waves))
        or bool(set(flag.excluded) - set(values.get("excluded", flag.excluded)))
        or any(name in values and values[name] != getattr(flag, name) for name in ("kind", "salt", "bucket_group"))
    )


def derive(name: str, *, met: bool, basis: str) -> None:
    """Set a derived flag to what follows from the migration; only turning it on or off is a change on record."""
    flag = Flag.objects.filter(name=name, derived=True).first()
    if flag is None or (flag.met, flag.basis) == (met, basis):
        return
    before = _state(flag)
    turned = flag.met != met
    flag.met, flag.basis = met, basis
    flag.save()
    if turned:
        FlagChange.objects.create(flag=flag, by="system", reason=basis, before=before, after=_state(flag))


def _checked(name: str, value: Any) -> Any:
    if name == "percentage":
        number = Decimal(str(value))
        if not 0 <= number <= 100:
            raise Refused(f"{value} is not a percentage: use 0 to 100.")
        return number
    if name in ("targets", "excluded"):
        for item in value:
            if not str(item).startswith(("user:", "tenant:")):
                raise Refused(f"{item} is not a subject: write user:<id> or tenant:<id>. E-mails are not ids.")
    return value


def _state(flag: Flag) -> dict[str, Any]:
    values = {name: getattr(flag, name) for name in _FIELDS}
    requires = sorted(required.name for required in flag.requires.all())
    return values | {"percentage": str(flag.percentage), "requires": requires, "met": flag.met}
