"""Removing old backups: BACKUP_KEEP of each side stay, and always the last validated one."""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.backups import store
from migration_portal.backups.models import Backup, Restoration, Side
from migration_portal.locks import Lock, one_after_the_other


def prune() -> int:
    """Returns how many were removed, beside what failed ones left. Raises Refusal when the store does not answer."""
    removed = 0
    for failed in Backup.objects.filter(removed_at=None).exclude(finished_at=None).exclude(error=""):
        store.remove(failed.place)
        Backup.objects.filter(pk=failed.pk).update(removed_at=timezone.now())
    for side in Side.values:
        for backup in superfluous(side):
            removed += _remove(backup)
    return removed


def superfluous(side: str) -> list[Backup]:
    """The side's backups that may go: neither among the last, nor the last validated, nor needed by anything."""
    kept = list(Backup.objects.kept().filter(side=side))
    stay = {backup.pk for backup in kept[: max(settings.BACKUP_KEEP, 1)]}
    if validated := Backup.objects.validated(side).first():
        stay.add(validated.pk)
    stay |= {backup.pk for backup in kept if backup.kept_for}
    stay |= set(Restoration.objects.unfinished().values_list("backup", flat=True))
    stay |= set(Backup.objects.filter(checks__finished_at=None, checks__isnull=False).values_list("pk", flat=True))
    return [backup for backup in kept if backup.pk not in stay]


def _remove(backup: Backup) -> int:
    with transaction.atomic():
        # Looked at again under the lock: two that prune at once must not each spare what the other removes.
        one_after_the_other(connection, Lock.BACKUPS)
        if backup.pk not in {other.pk for other in superfluous(backup.side)}:
            return 0
        Backup.objects.filter(pk=backup.pk).update(removed_at=timezone.now())
        chain.record("remove_backup", of=backup, by="system", data={"field": backup.side})
    store.remove(backup.place)
    return 1
