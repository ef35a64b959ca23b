"""Rehearsing the whole migration on a restored backup of legacy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.backups import scratch
from migration_portal.backups.back_up import failing, workshop
from migration_portal.backups.models import Backup, Side
from migration_portal.backups.store import Unreadable
from migration_portal.refusal import Refusal, require_reason
from migration_portal.rehearsal import by_hand, stage
from migration_portal.rehearsal.figures import production
from migration_portal.rehearsal.models import Rehearsal

TENANTS = 9
_MOST_TENANTS = 99
_INSIDE = "migration_portal.rehearsal.inside"


def rehearse(*, by: str, reason: str, tenants: int = TENANTS) -> Rehearsal:
    """Request one with the latest validated backup of legacy, and tell the workers. Raises Refusal."""
    with transaction.atomic():
        made = request(by=by, reason=reason, tenants=tenants)
        transaction.on_commit(lambda: messages.send("rehearsal.work", made.pk, queue="operate"))
    return made


def request(*, by: str, reason: str, tenants: int = TENANTS) -> Rehearsal:
    """The record of it alone. Raises Refusal."""
    require_reason(reason, to="Rehearsing")
    if not 1 <= tenants <= _MOST_TENANTS:
        raise Refusal(f"{tenants} is no sample of tenants.", todo=f"Use 1 to {_MOST_TENANTS}.")
    backup = Backup.objects.validated(Side.LEGACY).first()
    if backup is None:
        raise Refusal(
            "Legacy has no validated backup.",
            subject="rehearsal",
            todo="Back it up, and verify the backup up to level 3.",
        )
    try:
        with transaction.atomic():
            made: Rehearsal = Rehearsal.objects.create(backup=backup, tenants=tenants, requested_by=by, reason=reason)
            chain.record("rehearse", of=made, by=by, reason=reason, data={"count": tenants})
            return made
    except IntegrityError:
        raise Refusal("Another rehearsal is under way.", todo="Wait for its end.") from None


def perform(made: Rehearsal) -> None:
    """Rehearse, unless another worker does. Its stage is gone afterwards, however it ends."""
    if not made.claim():
        return
    with made.alive(), failing(made), workshop(made) as directory:
        measured: dict[str, Any] = {}

        def told(line: dict[str, Any]) -> None:
            if "measured" in line:
                measured.update(line["measured"])
            else:
                made.report(line["phase"], line["done"], line["total"])

        known = production(made.backup)
        with stage.built(made):
            _restore(made, directory)
            made.report("prepare", 0, 2)
            stage.play(made, ["manage.py", "migrate", "--verbosity", "0"], directory, told)
            stage.play(made, ["-m", _INSIDE, "prepare", "{}"], directory, told)
            by_hand.bring(made)
            asked = f'{{"tenants": {made.tenants}, "writes_per_second": {known["writes_per_second"]}}}'
            stage.play(made, ["-m", _INSIDE, "play", asked], directory, told)
        with transaction.atomic():
            made.finish(measured=measured, production=known)
            chain.record("rehearsed", of=made, by=made.requested_by, data={"count": round(measured["seconds"])})


def _restore(made: Rehearsal, directory: Path) -> None:
    dump = directory / "dump"
    dump.mkdir()
    try:
        scratch.fetch(made.backup, dump, lambda done, total: made.report("fetch", done, total))
    except Unreadable as error:
        raise Refusal(f"{error}.", subject=str(made.backup), todo="Back legacy up again.") from error
    url = stage.url(made, Side.LEGACY)
    scratch.fill(made.backup, dump, url, lambda done, total: made.report("restore", done, total), elsewhere=True)
    stage.quieten(made)


def tick() -> None:
    """Send again what no worker is at."""
    for pk in Rehearsal.objects.claimable().values_list("pk", flat=True):
        messages.send_unless_many_wait("rehearsal.work", pk, queue="operate")
