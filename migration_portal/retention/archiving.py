"""Old stretches of the audit log go to files, and out of the database; what is held stays."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import IO

import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from migration_portal.audit import anchors, archives, chain, roles, store
from migration_portal.audit.models import Archive
from migration_portal.audit.stretches import Stretch, alone, stretches
from migration_portal.locks import Lock, one_after_the_other
from migration_portal.refusal import Refusal, require_reason
from migration_portal.retention.models import Hold
from migration_portal.signing import Untrue

log = structlog.get_logger(__name__)
_ANOTHER, _GONE = "The file is not what was written.", "It was archived a moment ago."


@dataclass(frozen=True)
class Kept:
    """A stretch in the database, and the holds on it."""

    stretch: Stretch
    holds: list[Hold]

    def due(self, before: datetime) -> bool:
        """Whether it is closed, all of it is older, and nothing holds it."""
        return not self.stretch.open and self.stretch.until < before and not self.holds


def kept() -> Sequence[Kept]:
    """In the chain's order."""
    holds = list(Hold.objects.standing())
    return [
        Kept(stretch, [hold for hold in holds if hold.covers(stretch.since, stretch.until)]) for stretch in stretches()
    ]


def limit() -> datetime | None:
    """What is older may be archived, by AUDIT_RETENTION_MONTHS: the first of a month (UTC). None where all is kept."""
    if not settings.AUDIT_RETENTION_MONTHS:
        return None
    today = timezone.now().astimezone(UTC)
    months = 12 * today.year + today.month - 1 - settings.AUDIT_RETENTION_MONTHS
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def before_which(asked: date | None) -> datetime:
    """The day that was asked for, or what the setting says. Raises Refusal where it is too young, or neither says anything."""
    most = limit()
    if asked is None:
        if most is None:
            raise Refusal(
                "Nothing says how long events are kept.", subject="audit log",
                todo="Set AUDIT_RETENTION_MONTHS, or say --before 2025-01-01.",
            )  # fmt: skip
        return most
    before = datetime.combine(asked, time.min, UTC)
    if most is not None and before > most:
        raise Refusal(
            f"AUDIT_RETENTION_MONTHS keeps events for {settings.AUDIT_RETENTION_MONTHS} months.", subject=str(asked),
            todo=f"Choose a day before {most:%Y-%m-%d}.",
        )  # fmt: skip
    return before


def archive(before: datetime, *, by: str, reason: str) -> list[Archive]:
    """Write each stretch that is due to a file, and remove it from the database: as the owner of its tables, which the portal's own
    role is not. Returns what was archived.

    Raises Refusal; what was archived until then is.
    """
    require_reason(reason, to="Archiving events", subject="audit log")
    made = []
    with roles.owner():
        if not roles.owns():
            raise Refusal(
                "The portal's own role may only add to its audit log.", subject="audit log",
                todo="Set DATABASE_OWNER_URL for this command.",
            )  # fmt: skip
        anchors.write()  # an anchor of what is gone could not be written
        verdict = anchors.verify()
        if not verdict.intact:
            raise Refusal(str(verdict), subject="audit log", todo="What is broken is evidence: nothing is archived.")
        for each in kept():
            if each.due(before):
                made.append(_archive(each.stretch, by, reason))
    return made


def _archive(stretch: Stretch, by: str, reason: str) -> Archive:
    said = _written(stretch)
    statement = said.sign()
    _keep(said.file.replace(".jsonl.gz", ".jws"), io.BytesIO(statement.encode()))
    with alone():
        one_after_the_other(connection, Lock.AUDIT)  # a hold is placed before, or is told that it came too late
        if any(hold.covers(stretch.since, stretch.until) for hold in Hold.objects.standing()):
            raise Refusal("It is held since a moment ago.", subject=str(stretch))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM audit_stretches.{stretch.name}")
            if cursor.fetchone() != (said.events,):
                raise Refusal("It has changed since it was written to a file.", subject=str(stretch), todo="Ask again.")
        archived = Archive.objects.create(
            first=said.first, last=said.last, events=said.events, since=stretch.since, until=stretch.until,
            file=said.file, statement=statement, at=timezone.now(), by=by, reason=reason,
        )  # fmt: skip
        what = {"from": said.first, "to": said.last, "count": said.events, "checksum": said.checksum}
        chain.record("archive_events", of=archived, by=by, reason=reason, data=what)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE audit_stretches.{stretch.name}")
    log.info("audit_archived", stretch=stretch.name, events=said.events, file=said.file)
    return archived


def _written(stretch: Stretch) -> archives.Statement:
    """Its file, written and read again. Raises Refusal where its chain is broken, or the file is not what was written."""
    first, last = stretch.events().first(), stretch.events().last()
    if first is None or last is None:
        raise Refusal(_GONE, subject=str(stretch))
    # Of another portal that was given the same store by mistake, the same numbers have other digests.
    file = f"archived/{stretch.first:020d}-{stretch.last:020d}-{last.digest[:16]}.jsonl.gz"
    try:
        with tempfile.TemporaryFile() as written:
            verdict = chain.follow(
                archives.written(stretch.events().iterator(chunk_size=2000), written), first.previous
            )
            if not verdict.intact:
                raise Refusal(
                    str(verdict), subject=str(stretch), todo="What is broken is evidence, and is not archived."
                )
            if not verdict.events:
                raise Refusal(_GONE, subject=str(stretch))
            checksum = hashlib.file_digest(written, "sha256").hexdigest()
            _keep(file, written)
        said = archives.Statement(
            stretch.first, stretch.last, verdict.events, first.previous, last.digest, file, checksum
        )
        again = chain.follow(archives.read(said), said.previous)
    except store.AWAY as error:
        raise Refusal("The archive cannot be read again.", subject=settings.AUDIT_ANCHORS, todo=f"{error}.") from error
    except Untrue:
        raise Refusal(_ANOTHER, subject=file, todo="Look at the store, and try again.") from None
    if (again.events, again.broken_at) != (said.events, None):
        raise Refusal(_ANOTHER, subject=said.file, todo="Look at the store, and try again.")
    return said


def _keep(name: str, file: IO[bytes]) -> None:
    try:
        store.write(name, file)
    except store.AWAY as error:
        raise Refusal("The archive cannot be written.", subject=settings.AUDIT_ANCHORS, todo=f"{error}.") from error
