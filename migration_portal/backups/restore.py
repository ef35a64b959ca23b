"""Restoring a backup: always into a new database, which is compared with what the dump's snapshot held. Nothing is replaced."""

from __future__ import annotations

import re

from django.db import transaction
from django.db.models.functions import Now

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.backups import scratch
from migration_portal.backups.back_up import failing, workshop
from migration_portal.backups.models import Backup, Restoration
from migration_portal.backups.store import Unreadable
from migration_portal.refusal import Refusal, require_reason

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,49}")
"""Room is left for what a swapped database is called."""


def restore(backup: Backup, *, into: str, by: str, reason: str) -> Restoration:
    """Request a restoration and tell the workers. Raises Refusal."""
    with transaction.atomic():
        made = request(backup, into=into, by=by, reason=reason)
        transaction.on_commit(lambda: messages.send("backups.work", "restoration", made.pk, queue="operate"))
    return made


def request(backup: Backup, *, into: str, by: str, reason: str) -> Restoration:
    """The record of it alone. Raises Refusal when the name is taken, or is none."""
    require_reason(reason, to="Restoring", subject=str(backup))
    if backup.state != "done":
        raise Refusal(f"It is {backup.state}.", subject=str(backup), todo="Only a backup that is done can be restored.")
    if not _NAME.fullmatch(into):
        raise Refusal(
            "It is no name for a database.",
            subject=into,
            todo="Use small letters, digits and _, fifty characters at most.",
        )
    with scratch.server_of(backup.side) as server:
        if scratch.exists(server, into):
            raise Refusal("There is a database of this name.", subject=into, todo="Restore into a new one.")
    if Restoration.objects.unfinished().filter(into=into).exists():
        raise Refusal("Another backup is being restored there.", subject=into, todo="Choose another name.")
    made = Restoration.objects.create(backup=backup, into=into, requested_by=by, reason=reason)
    chain.record("restore", of=backup, by=by, reason=reason, data={"to": into})
    return made


def perform(made: Restoration) -> None:
    """Restore and compare, unless another worker does."""
    if not made.claim():
        return
    backup = made.backup
    with made.alive(), failing(made), workshop(made) as directory:
        try:
            scratch.fetch(backup, directory, lambda done, total: made.report("fetch", done, total))
        except Unreadable as error:
            raise Refusal(f"{error}.", subject=str(backup), todo="Restore another backup.") from error
        with scratch.server_of(backup.side) as server:
            what = f"restored from {backup.place}"
            scratch.drop(
                server, made.into, what=what
            )  # of an attempt that died; raises for a database that is not ours
            scratch.create(server, made.into, like=scratch.name_of(backup.side), side=backup.side, what=what)
        url = scratch.url_in(backup.side, made.into)
        scratch.fill(backup, directory, url, lambda done, total: made.report("restore", done, total), elsewhere=False)
        different = scratch.compare(backup, url, lambda done, total: made.report("compare", done, total))
        with transaction.atomic():
            made.finish(finding="; ".join(different))
            verb = "restore_differs" if different else "restored"
            chain.record(verb, of=backup, by=made.requested_by, reason=made.finding, data={"to": made.into})


def drop(made: Restoration, *, by: str) -> None:
    """Drop what was restored, where it has not taken a side's place. Raises Refusal."""
    if made.state not in ("restored", "failed"):
        raise Refusal(
            f"It is {made.state}.", subject=str(made), todo="Only what was restored and not swapped can be dropped."
        )
    with scratch.server_of(made.backup.side) as server:
        scratch.drop(server, made.into, what=f"restored from {made.backup.place}")
    with transaction.atomic():
        Restoration.objects.filter(pk=made.pk).update(dropped_at=Now())
        chain.record("drop_restored", of=made.backup, by=by, data={"to": made.into})
