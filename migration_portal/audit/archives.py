"""Stretches of the log that were written to files and removed: the statement that says so, and what a file must hold.

Who can remove events from the database can write into this table, too. A statement cannot be made there: it is a JWS, signed with
a key that is derived from AUDIT_ANCHOR_KEY, or else from SECRET_KEY. Files stand beside the anchors, in AUDIT_ANCHORS/archived.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import IO, Any

from migration_portal.audit import store
from migration_portal.audit.models import Archive, Event
from migration_portal.signing import Signer, Untrue

_SIGNER = Signer("audit archives", "audit-archive")
_FIELDS = ("actor", "verb", "object_type", "object_id", "reason", "request_id", "run", "data", "previous", "digest")


@dataclass(frozen=True)
class Statement:
    """`previous` is the digest of the event before the first, `digest` that of the last one; `checksum` is the file's SHA-256."""

    first: int
    last: int
    events: int
    previous: str
    digest: str
    file: str
    checksum: str

    def sign(self) -> str:
        return _SIGNER.sign(asdict(self))


def said_by(archive: Archive) -> Statement:
    """What its statement says. Raises Untrue where it is not ours, or says something else than the table."""
    try:
        said = Statement(**_SIGNER.read(archive.statement.encode()))
    except TypeError as error:
        raise Untrue from error
    if (said.first, said.last, said.events, said.file) != (archive.first, archive.last, archive.events, archive.file):
        raise Untrue
    return said


def line(event: Event) -> str:
    """As JSON, as exports and archives have it."""
    fields = {"at": event.at.isoformat(), "id": event.pk, **{name: getattr(event, name) for name in _FIELDS}}
    return json.dumps(fields) + "\n"


def written(events: Iterable[Event], file: IO[bytes]) -> Iterator[Event]:
    """The events, each written to the file as it passes; at the end the file can be read."""
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as compressed:
        for event in events:
            compressed.write(line(event).encode())
            yield event
    file.seek(0)


def read(said: Statement) -> Iterator[Event]:
    """The events of the archive's file. Raises Untrue where it is another, what the store raises where there is none."""
    with store.opened(said.file) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != said.checksum:
            raise Untrue
        file.seek(0)
        for each in gzip.GzipFile(fileobj=file):
            fields: dict[str, Any] = json.loads(each)
            yield Event(**fields | {"at": datetime.fromisoformat(fields["at"])})
