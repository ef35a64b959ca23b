"""Knowing again the backups in the store that the portal's database does not: of a portal that was lost, or restored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from migration_portal.audit import chain
from migration_portal.backups import store
from migration_portal.backups.back_up import whole
from migration_portal.backups.models import Backup
from migration_portal.refusal import Refusal


def adopt_backups(*, by: str) -> list[Backup]:
    """Record every backup of the store that is signed with our key and not on record. Raises Refusal."""
    known = set(Backup.objects.values_list("place", flat=True))
    found = []
    for place in store.places():
        if place in known:
            continue
        manifest = whole(place)
        if manifest is None:
            raise Refusal(
                "Its manifest was not signed with our key.", subject=place,
                todo="Set AUDIT_ANCHOR_KEY (or add the former one to AUDIT_ANCHOR_OLD_KEYS) to what it was signed with.",
            )  # fmt: skip
        found.append(_record(manifest, by))
    return found


def _record(manifest: dict[str, Any], by: str) -> Backup:
    size = sum(file["bytes"] for file in manifest["files"])
    at = datetime.fromisoformat(manifest["snapshot_at"])
    with transaction.atomic():
        backup: Backup = Backup.objects.create(
            side=manifest["side"], place=manifest["place"], requested_by=manifest["requested_by"], started_at=at,
            finished_at=at, manifest=manifest, bytes=size, level=0,
        )  # fmt: skip
        chain.record("adopt_backup", of=backup, by=by, data={"field": backup.side})
    return backup
