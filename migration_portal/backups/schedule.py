"""What the tick does: sends again what no worker is at, backs up what is due, and removes what is superfluous.

A side is backed up by the schedule once somebody has backed it up by hand; each backup of the schedule is then validated.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from migration_portal import messages
from migration_portal.backups import back_up, check, reconcile, restore
from migration_portal.backups.models import Backup, Check, Reconciliation, Restoration, Side
from migration_portal.backups.prune import prune
from migration_portal.backups.work import Work
from migration_portal.refusal import Refusal

log = structlog.get_logger(__name__)
SCHEDULE = "schedule"
_KINDS = {
    "backup": (Backup, back_up.perform),
    "check": (Check, check.perform),
    "restoration": (Restoration, restore.perform),
    "reconciliation": (Reconciliation, reconcile.perform),
}


def perform(kind: str, pk: int) -> None:
    """Do a piece of work that was asked for, unless it is done or another worker is at it."""
    model, do = _KINDS[kind]
    work: Work | None = model.objects.filter(pk=pk).first()  # type: ignore[attr-defined]
    if work is not None:
        do(work)  # type: ignore[operator]


def tick() -> None:
    for kind, (model, _) in _KINDS.items():
        for pk in model.objects.claimable().values_list("pk", flat=True):  # type: ignore[attr-defined]
            messages.send_unless_many_wait("backups.work", kind, pk, queue="operate")
    _back_up_what_is_due()
    _validate()
    try:
        prune()
    except Refusal as refusal:
        log.warning("backups_not_pruned", error=str(refusal))


def _back_up_what_is_due() -> None:
    if not settings.BACKUP_EVERY_HOURS:
        return
    for side in Side.values:
        last = Backup.objects.filter(side=side).first()
        if last is not None and timezone.now() - last.requested_at >= timedelta(hours=settings.BACKUP_EVERY_HOURS):
            try:
                back_up.back_up(side, by=SCHEDULE)
            except Refusal as refusal:
                log.info("backup_not_requested", side=side, why=str(refusal))


def _validate() -> None:
    unchecked = Backup.objects.kept().filter(requested_by=SCHEDULE, checks=None)
    for backup in unchecked:
        check.check(backup, Backup.VALIDATED, by=SCHEDULE)
