"""Backups that are made and checked in this process."""

from __future__ import annotations

from migration_portal.backups import back_up, check
from migration_portal.backups.models import Backup, Check


def backed_up(side: str) -> Backup:
    backup = back_up.request(side, by="tester")
    back_up.perform(backup)
    backup.refresh_from_db()
    assert backup.error == "" and backup.finished_at, backup.error
    return backup


def checked(backup: Backup, level: int) -> Check:
    found = check.request(backup, level, by="tester")
    check.perform(found)
    found.refresh_from_db()
    backup.refresh_from_db()
    return found
