"""Maintenance windows: between which times of a day moves may begin."""

from __future__ import annotations

from datetime import time

from django.utils import timezone
from django.utils.dateparse import parse_time

from migration_portal.refusal import Refusal


def window(opens: str, closes: str) -> tuple[time, time] | None:
    """The two times of a day that were typed; None for neither. Raises Refusal."""
    if not opens.strip() and not closes.strip():
        return None
    try:
        found = [parse_time(text.strip()) for text in (opens, closes)]
    except ValueError:
        found = [None, None]
    if found[0] is None or found[1] is None or found[0] == found[1]:
        raise Refusal(
            "A maintenance window has two times of a day, which differ.",
            subject="wave",
            todo="Write 22:00 and 04:00, say.",
        )
    return found[0], found[1]


def now() -> time:
    """The time of day by which windows count: the portal's, whoever asks."""
    return timezone.localtime(timezone=timezone.get_default_timezone()).time()


def within(now: time, opens: time, closes: time) -> bool:
    """Whether the time of day is in the window, which may pass midnight."""
    return opens <= now < closes if opens <= closes else now >= opens or now < closes
