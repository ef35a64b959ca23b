"""Putting a restored database in the place of a side's: two renames in one transaction. The one before it is kept."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.backups import scratch
from migration_portal.backups.content import QUERIES
from migration_portal.backups.models import Restoration
from migration_portal.engine import capture, ledger, numbers
from migration_portal.plan.loader import load
from migration_portal.plan.model import Plan
from migration_portal.refusal import Refusal, require_reason

_ATTEMPTS = 50


def swap(made: Restoration, *, by: str, reason: str) -> str:
    """Returns what the database before is called now. Raises Refusal, psycopg.Error; then both are as they were.

    Sessions of the side's database are ended: its clients connect again, to the restored one.
    """
    require_reason(reason, to="Swapping", subject=str(made))
    if made.state != "restored":
        what = made.finding or made.error or f"It is {made.state}."
        raise Refusal(
            what, subject=str(made), todo="Only what was restored and compared equal is put in a side's place."
        )
    side, plan = (
        made.backup.side,
        load(settings.MIGRATION_PLAN),
    )  # what is wrong with it is said before anything changes
    live, kept = scratch.name_of(side), f"{scratch.name_of(side)[:40]}_before_{made.pk}"
    with scratch.server_of(side) as server:
        renamed = scratch.exists(server, kept)
        if renamed and scratch.exists(server, made.into):
            raise Refusal("There is a database of this name.", subject=kept, todo="Rename or drop it.")
        if not renamed:  # else a worker died of it before it was recorded
            if side == "portal":
                connections["default"].close()
            _rename(server, {live: kept, made.into: live})
        server.execute(SQL("COMMENT ON DATABASE {} IS NULL").format(Identifier(live)))
    if side != "portal":
        look_at_all(plan)  # before it is on record: who tries again does this again
    now = timezone.now()
    with transaction.atomic():
        # The portal's own restored database knows nothing of this restoration: it was taken before.
        Restoration.objects.filter(pk=made.pk).update(kept_as=kept, swapped_at=now, swapped_by=by)
        chain.record("swap_database", of=made.backup, by=by, reason=reason, data={"from": kept, "to": live})
    made.kept_as, made.swapped_at = kept, now
    return kept


def _rename(server: Connection[Any], names: dict[str, str]) -> None:
    """All or none; clients that connect again at once are ended again."""
    for attempt in range(_ATTEMPTS):
        for name in names:
            server.execute(QUERIES["other_sessions"], {"name": name})
        try:
            with server.transaction():
                for name, new in names.items():
                    server.execute(scratch.renaming(name, new))
        except psycopg.errors.ObjectInUse:
            if attempt == _ATTEMPTS - 1:
                raise Refusal(
                    "Its clients connect again faster than they are ended.", subject=next(iter(names)),
                    todo="Stop them, or keep them out at their pooler, and swap again.",
                ) from None  # fmt: skip
            time.sleep(0.1)
        else:
            return


def look_at_all(plan: Plan) -> None:
    """Have catch-up look at every table, both ways: one side has copies of what is no longer in the other, or lacks copies."""
    sources = {"legacy": plan.sources, "iam": [table.target for table in plan.tables if table.returns]}
    with ExitStack() as stack:
        sides = {side: stack.enter_context(databases.of_side(side, "after a swap")) for side in sources}
        if capture.installed(sides["legacy"]) and ledger.ready(sides["iam"]):
            numbers.keep(sides["legacy"], sides["iam"], plan)
        for side, connection in sides.items():
            for source in sources[side] if capture.installed(connection) else ():
                connection.execute("SELECT portal_capture.whole(%s)", [source])
