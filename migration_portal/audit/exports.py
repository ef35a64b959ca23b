"""The log for other systems: JSON Lines with the chain's signed head, CSV, and OCSF for a SIEM."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import QuerySet

from migration_portal.audit import anchors
from migration_portal.audit.models import Event, today
from migration_portal.console.sheets import csv_line

_FIELDS = ("id", "at", "actor", "verb", "object_type", "object_id", "reason", "request_id", "run", "data", "digest")
_VERSION, _CATEGORY, _CLASS = "1.3.0", 3, 3004
"""OCSF's Identity & Access Management, Entity Management: https://schema.ocsf.io/1.3.0/classes/entity_management."""
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_ACTIVITIES = {
    _CREATE: ("start", "add_", "make_", "plan_", "take_", "register_", "back_up", "ask_", "request_"),
    _READ: ("view_", "search_", "export", "verify", "show_"),
    _DELETE: ("remove_", "drop_", "undo", "discard_", "finalize"),
}
"""By how a verb begins; all others update."""


def as_csv(events: QuerySet[Event]) -> Iterator[str]:
    yield csv_line(_FIELDS)
    for event in events.order_by("id").iterator(chunk_size=1000):
        told = {"at": event.at.isoformat(), "data": json.dumps(event.data, sort_keys=True)}
        yield csv_line(told.get(name, getattr(event, name)) for name in _FIELDS)


def as_ocsf(events: QuerySet[Event]) -> Iterator[str]:
    """One Entity Management event of OCSF a line."""
    for event in events.order_by("id").iterator(chunk_size=1000):
        yield json.dumps(_ocsf(event)) + "\n"


def _ocsf(event: Event) -> dict[str, Any]:
    verb = today(event.verb)
    activity = next((number for number, begins in _ACTIVITIES.items() if verb.startswith(begins)), _UPDATE)
    return {
        "metadata": {
            "version": _VERSION, "uid": str(event.pk), "correlation_uid": event.request_id, "event_code": verb,
            "product": {"name": "Sigma Transit", "vendor_name": "Sigma Transit"},
        },
        "category_uid": _CATEGORY, "class_uid": _CLASS, "activity_id": activity, "type_uid": _CLASS * 100 + activity,
        "severity_id": 1, "status_id": 1, "time": int(event.at.timestamp() * 1000), "message": verb.replace("_", " "),
        "actor": {"user": {"name": event.actor, "type_id": 3 if event.actor == "system" else 1}},
        "entity": {"type": event.object_type or "portal", "uid": event.object_id, "name": event.object_id},
        "comment": event.reason, "unmapped": {"run": event.run, "data": event.data, "digest": event.digest},
    }  # fmt: skip


FORMATS: dict[str, tuple[Callable[[QuerySet[Event]], Iterator[str]], str, str]] = {
    "jsonl": (anchors.lines, "application/jsonl", "audit.jsonl"),
    "csv": (as_csv, "text/csv; charset=utf-8", "audit.csv"),
    "ocsf": (as_ocsf, "application/jsonl", "audit.ocsf.jsonl"),
}
"""By name: how it is written, what it is sent as, and under which name it is saved."""
