"""What of a restored backup may want a second person."""

from __future__ import annotations

from django.utils import timezone
from django.utils.timesince import timesince

from migration_portal.approvals.actions import Action, Arguments, Figures, register
from migration_portal.backups import swap
from migration_portal.backups.models import Restoration
from migration_portal.refusal import Refusal


def _restoration(arguments: Arguments) -> Restoration:
    made = Restoration.objects.select_related("backup").filter(pk=arguments["restoration"]).first()
    if made is None:
        raise Refusal("There is no such restoration any more.", subject=f"Restoration {arguments['restoration']}")
    return made


def _swap(arguments: Arguments, by: str, reason: str) -> str:
    kept = swap.swap(_restoration(arguments), by=by, reason=reason)
    return f"The restored database is in place; the one before it is called {kept}."


def _swapped(arguments: Arguments) -> Figures:
    made = _restoration(arguments)
    taken = made.backup.taken_at or made.backup.requested_at
    rows = sum(count for count, *_ in made.backup.manifest["content"]["tables"].values())
    return [
        ("Side", made.backup.get_side_display()), ("State of the restoration", made.state),
        ("Rows in the backup", f"{rows:,}"), ("Taken before now", timesince(taken, timezone.now())),
    ]  # fmt: skip


SWAP = register(Action(
    "swap", "Putting a restored database in place", "backups.swap_database", _swap, _swapped, {"restoration": int}
))  # fmt: skip
