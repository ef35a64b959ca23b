"""Asking for a look and having a worker take it: at most one worker a record, and a lost message does not matter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
from celery import current_app
from django.db import transaction
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.engine.errors import describe
from migration_portal.inventory.models import Inventory, Look, Preflight
from migration_portal.inventory.preflight import preflight
from migration_portal.inventory.take import take
from migration_portal.plan.errors import Refusal

KINDS: dict[str, tuple[type[Look], Callable[[], dict[str, Any]], str]] = {
    "inventory": (Inventory, take, "take_inventory"),
    "preflight": (Preflight, preflight, "preflight"),
}
_GIVE_UP = timedelta(hours=1)


def ask(kind: str, *, by: str) -> Look:
    """Record the wish and tell the workers; `kind` is a key of KINDS."""
    model, _, verb = KINDS[kind]
    with transaction.atomic():
        record = model.objects.create(asked_by=by)  # type: ignore[attr-defined]
        chain.record(verb, of=record, by=by)
        transaction.on_commit(lambda: current_app.send_task("inventory.look", args=[kind, record.pk], expires=30))
    return record  # type: ignore[no-any-return]


def look(kind: str, pk: int) -> None:
    """Take the look, unless another worker is at it or it is taken. What goes wrong is kept with the record."""
    model, do, _ = KINDS[kind]
    with transaction.atomic():
        open_records = model.objects.select_for_update(skip_locked=True)  # type: ignore[attr-defined]
        record = open_records.filter(pk=pk, finished_at=None).first()
        if record is None:
            return
        try:
            record.content = do()
        except Refusal as refusal:
            record.error = str(refusal)
        except psycopg.Error as error:
            record.error = str(describe(error))
        record.finished_at = timezone.now()
        record.save()


def now(kind: str, *, by: str) -> Look:
    """Ask and take it here: for the terminal. Raises Refusal with what went wrong."""
    model, _, verb = KINDS[kind]
    record = model.objects.create(asked_by=by)  # type: ignore[attr-defined]
    chain.record(verb, of=record, by=by)
    look(kind, record.pk)
    record.refresh_from_db()
    if record.error:
        raise Refusal(record.error)
    return record  # type: ignore[no-any-return]


def unfinished() -> list[tuple[str, int]]:
    """(kind, id) of recent records that no worker has finished."""
    since = timezone.now() - _GIVE_UP
    return [
        (kind, pk)
        for kind, (model, _, _) in KINDS.items()
        for pk in model.objects.filter(finished_at=None, asked_at__gt=since).values_list("pk", flat=True)  # type: ignore[attr-defined]
    ]
