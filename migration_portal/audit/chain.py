"""Appending to the chain and verifying it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from migration_portal.audit import archives
from migration_portal.audit.models import Archive, Event
from migration_portal.locks import Lock, one_after_the_other
from migration_portal.signing import Untrue

GENESIS = "0" * 64
_ALLOWED = frozenset({
    "approver", "capture", "checksum", "client", "count", "counts", "direction", "dry_run", "endpoint", "field", "from", "guard",
    "hold_ms", "home", "key", "plan", "plan_checksum", "reason", "script", "state", "table", "tenant", "to", "until",
    "verification", "wave", "workers",
})  # fmt: skip
"""What `data` may hold. An allow-list: a new key is a decision, so that no secret slips in."""

actor: ContextVar[str] = ContextVar("actor", default="system")
"""Who acts: bound by the middleware for a request, by commands for a terminal, else `system`."""
approver: ContextVar[str] = ContextVar("approver", default="")
"""Who agreed to what is being done, where a second person had to."""
_pending: ContextVar[list[Event] | None] = ContextVar("pending", default=None)
log = structlog.get_logger(__name__)


class UnknownData(ValueError):
    """A key that is not on the allow-list."""


def record(
    verb: str,
    *,
    of: Any = None,
    object_type: str = "",
    object_id: str = "",
    run: int | None = None,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
    by: str | None = None,
) -> Event:
    """Append an event, in the caller's transaction: the change and its record commit together.

    `of` is a model instance that names the object; `data` may only hold allowed keys. Raises UnknownData.

    From here to the commit nobody else can record: a transaction that locks anything afterwards is to be `recorded_last`.
    """
    kept = dict(data or {}) | ({"approver": approver.get()} if approver.get() else {})
    if unknown := set(kept) - _ALLOWED:
        raise UnknownData(f"Not on the audit allow-list: {', '.join(sorted(unknown))}")
    if of is not None:
        object_type, object_id = of._meta.model_name, str(of.pk)
    event = Event(
        actor=by or actor.get(), verb=verb, object_type=object_type, object_id=object_id,
        reason=reason, request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64], run=run,
        data=kept,
    )  # fmt: skip
    pending = _pending.get()
    if pending is None:
        _append([event])
    else:
        pending.append(event)
    log.info("audit", verb=verb, actor=event.actor, object_type=object_type, object_id=object_id, run=run)
    return event


@contextmanager
def recorded_last() -> Iterator[None]:
    """A transaction that appends its events when all else is done, so that verbs which lock and record can be joined.

    Were an event appended before, two transactions could each wait for what the other has: the chain, and a row.
    """
    if _pending.get() is not None:
        yield
        return
    with transaction.atomic():
        events: list[Event] = []
        token = _pending.set(events)
        try:
            yield
        finally:
            _pending.reset(token)
        if events:
            _append(events)


def _append(events: Sequence[Event]) -> None:
    with transaction.atomic():
        one_after_the_other(connection, Lock.AUDIT)  # held to the commit: the chain has no forks
        previous = Event.objects.order_by("-id").values_list("digest", flat=True).first() or GENESIS
        for event in events:
            event.at, event.previous = timezone.now(), previous
            event.digest = previous = digest(event)
        Event.objects.bulk_create(events, batch_size=1000)


def digest(event: Event) -> str:
    """SHA-256 over the event's fields in canonical JSON, hexadecimal."""
    fields = [
        event.at.isoformat(timespec="microseconds"), event.actor, event.verb, event.object_type, event.object_id,
        event.reason, event.request_id, event.run, event.data, event.previous,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """How many events were checked, and the first that does not fit, if any; the last that an anchor outside the database has, and
    how many were archived.
    """

    events: int
    broken_at: int | None = None
    why: str = ""
    anchored: int = 0
    archived: int = 0

    @property
    def intact(self) -> bool:
        return self.broken_at is None

    def __str__(self) -> str:
        if not self.intact:
            return f"The chain is broken at event {self.broken_at}: {self.why}."
        anchored = f"up to event {self.anchored} anchors agree" if self.anchored else "no anchor says so yet"
        archived = f"; {self.archived:,} before them were archived, signed" if self.archived else ""
        return f"All {self.events:,} events are as they were written; {anchored}{archived}."


def verify() -> Verdict:
    """Walk the whole chain in order, and over what was archived."""
    gaps: dict[str, archives.Statement] = {}
    for archive in Archive.objects.all():
        try:
            said = archives.said_by(archive)
        except Untrue:
            return Verdict(0, archive.first, "its archive was not signed with our key")
        gaps[said.previous] = said
    archived = sum(said.events for said in gaps.values())
    verdict = follow(Event.objects.order_by("id").iterator(chunk_size=2000), GENESIS, gaps)
    if verdict.intact and gaps:
        left = min(said.first for said in gaps.values())
        return replace(verdict, broken_at=left, why="what its archive follows is missing or was replaced")
    return replace(verdict, archived=archived)


def follow(events: Iterable[Event], previous: str, gaps: dict[str, archives.Statement] | None = None) -> Verdict:
    """Whether each event follows the one before it, the first `previous`. What was archived is taken out of `gaps`, which has it by
    the digest that it follows.
    """
    gaps, count = {} if gaps is None else gaps, 0

    def over(digest: str) -> str:
        while digest in gaps:
            digest = gaps.pop(digest).digest
        return digest

    for event in events:
        count += 1
        previous = over(previous)
        if event.previous != previous:
            return Verdict(count, event.pk, "an event before it is missing or was replaced")
        if event.digest != digest(event):
            return Verdict(count, event.pk, "its fields were changed")
        previous = event.digest
    over(previous)
    return Verdict(count)
