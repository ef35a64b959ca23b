"""Requesting a snapshot and having a worker take it: at most one worker a record, and a lost message does not matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from django.db import models, transaction
from django.utils import timezone

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.engine.errors import describe
from migration_portal.inventory.models import Inventory, Preflight, Snapshot
from migration_portal.inventory.preflight import preflight
from migration_portal.inventory.take import take
from migration_portal.refusal import Refusal

_GIVE_UP = timedelta(hours=1)


@dataclass(frozen=True)
class _Kind:
    """Where snapshots of this kind are kept, how one is taken, and the audit verb."""

    records: models.Manager[Any]
    take: Callable[[], dict[str, Any]]
    verb: str


KINDS = {
    "inventory": _Kind(Inventory.objects, take, "take_inventory"),
    "preflight": _Kind(Preflight.objects, preflight, "preflight"),
}


def request(kind: str, *, by: str) -> Snapshot:
    """Record the request and tell the workers; `kind` is a key of KINDS."""
    with transaction.atomic():
        record = _create(kind, by)
        transaction.on_commit(lambda: messages.send("inventory.take", kind, record.pk))
    return record


def take_requested(kind: str, pk: int) -> None:
    """Take the snapshot, unless another worker is at it or it is taken. What goes wrong is kept with the record."""
    with transaction.atomic():
        record = KINDS[kind].records.select_for_update(skip_locked=True).filter(pk=pk, finished_at=None).first()
        if record is None:
            return
        try:
            record.content = KINDS[kind].take()
        except Refusal as refusal:
            record.error = str(refusal)
        except psycopg.Error as error:
            record.error = str(describe(error))
        record.finished_at = timezone.now()
        record.save()


def take_now(kind: str, *, by: str) -> Snapshot:
    """Request it and take it here: for the terminal. Raises Refusal with what went wrong."""
    record = _create(kind, by)
    take_requested(kind, record.pk)
    record.refresh_from_db()
    if record.error:
        raise Refusal(record.error)
    return record


def _create(kind: str, by: str) -> Snapshot:
    record: Snapshot = KINDS[kind].records.create(requested_by=by)
    chain.record(KINDS[kind].verb, of=record, by=by)
    return record


def unfinished() -> list[tuple[str, int]]:
    """(kind, id) of recent records that no worker has finished."""
    since = timezone.now() - _GIVE_UP
    return [
        (name, pk)
        for name, kind in KINDS.items()
        for pk in kind.records.filter(finished_at=None, requested_at__gt=since).values_list("pk", flat=True)
    ]
