"""The worker of cut-over: makes the moves that were requested, one after the other."""

from __future__ import annotations

from django.db import connection

from migration_portal.cutover.models import UNDER_WAY, Cutover
from migration_portal.cutover.move import move
from migration_portal.locks import Lock, only_one


def work() -> int:
    """Make the moves that were requested, one worker at a time. Returns how many were made or blocked."""
    count = 0
    with only_one(connection, Lock.MOVES) as alone:
        # One that a dead worker left behind is made again: until the flip nothing had changed.
        while alone and (cutover := Cutover.objects.under_way().select_related("tenant").order_by("id").first()):
            move(cutover)
            count += 1
            cutover.refresh_from_db()
            if cutover.state in UNDER_WAY:
                break  # the portal's database went away: the next turn looks again
    return count
