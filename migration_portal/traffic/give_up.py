"""Accept, on the record, that nobody answers a legacy endpoint any more; or take that back."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from legacy_compat.models import GivenUp
from legacy_compat.standing import NOBODY, standings
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason


@chain.recorded_last()
def give_up(names: Sequence[str], *, by: str, reason: str) -> int:
    """Accept these endpoints by name. Returns how many were not accepted before. Raises Refusal, also without a reason."""
    require_reason(reason, to="Giving endpoints up", subject="legacy endpoints")
    known = {each.name: each for each in standings() if NOBODY in (each.after, each.finalized)}
    if not names:
        raise Refusal("No endpoint was chosen.", subject="legacy endpoints", todo="Choose those that nobody needs.")
    count = 0
    for name in dict.fromkeys(names):
        if name not in known:
            raise Refusal(
                "This endpoint is not among those that will go unanswered.", subject=name[:200],
                todo="`manage.py portal surface` lists them.",
            )  # fmt: skip
        given, new = GivenUp.objects.get_or_create(
            endpoint=name, defaults={"by": by, "reason": reason, "at": timezone.now()}
        )
        if new:
            chain.record("give_up_endpoint", of=given, by=by, reason=reason, data={"endpoint": name})
        count += new
    return count


@transaction.atomic
def take_back(name: str, *, by: str, reason: str) -> None:
    """Somebody needs it after all. Raises Refusal without a reason, or where nobody had given it up."""
    require_reason(reason, to="Taking it back", subject=name)
    given = GivenUp.objects.filter(pk=name).first()
    if given is None:
        raise Refusal("Nobody has given it up.", subject=name[:200], todo="Nothing has changed.")
    chain.record("take_back_endpoint", of=given, by=by, reason=reason, data={"endpoint": name})
    given.delete()
