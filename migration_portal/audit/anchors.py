"""The chain's head, signed, and written where the database's owner cannot reach: AUDIT_ANCHORS, a directory or s3://bucket/prefix.

The database's owner can rewrite every event and the whole chain over them. An anchor keeps the digests of the events since the
one before it, so that verification can name the first that is not what it was. Each is a JWS (RFC 7515) over canonical JSON, signed
with ES256 by a key that is derived from AUDIT_ANCHOR_KEY, or else from SECRET_KEY: neither stands in the database.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from migration_portal.audit import archives, store
from migration_portal.audit.chain import Verdict, follow
from migration_portal.audit.chain import verify as verify_chain
from migration_portal.audit.models import Archive, Event
from migration_portal.locks import Lock, one_after_the_other
from migration_portal.refusal import Refusal
from migration_portal.signing import Signer, Untrue

log = structlog.get_logger(__name__)
_SIGNER = Signer("audit anchors", "audit-anchor")
_MOST = 10_000
"""Events in one anchor."""


@dataclass(frozen=True)
class Anchor:
    """`name` is its file's. `digests` are of every event since the anchor before it, whose hash is `previous`."""

    name: str
    at: str
    previous: str
    digests: tuple[tuple[int, str], ...]


def write() -> int:
    """Anchor the events that no anchor has yet. Returns how many. Raises Refusal when the store does not answer."""
    try:
        with transaction.atomic():
            # Two that follow the same anchor would belie each other for ever.
            one_after_the_other(connection, Lock.ANCHORS)
            return sum(_write_one() for _ in iter(_waiting, 0))
    except store.AWAY as error:
        raise Refusal(
            "The audit log cannot be anchored.", subject=settings.AUDIT_ANCHORS, todo=f"The store says: {error}."
        ) from error


def head() -> str:
    """The last event's digest, signed: what goes along with an export."""
    last = Event.objects.order_by("-id").values_list("id", "digest").first()
    return _SIGNER.sign({"at": timezone.now().isoformat(), "head": list(last) if last else []})


def verify(*, files: bool = False) -> Verdict:
    """The chain itself, then each anchor against it, then the files of what was archived, where asked.

    Raises Refusal when the store does not answer.
    """
    try:
        while True:
            before = _archived()
            verdict = _verdict(files=files)
            if verdict.intact or before == _archived():
                return verdict  # else something was archived in the middle of it
    except store.AWAY as error:
        raise Refusal(
            "The anchors or archives cannot be read.", subject=settings.AUDIT_ANCHORS, todo=f"The store says: {error}."
        ) from error


def _verdict(*, files: bool) -> Verdict:
    verdict = verify_chain()
    if not verdict.intact:
        return verdict
    broken = _against_anchors(verdict.events) or (_of_files(verdict.events) if files else None)
    return broken or replace(verdict, anchored=_last_anchored())


def _archived() -> list[tuple[int, int]]:
    """The first and last event of each archive."""
    return list(Archive.objects.values_list("first", "last"))


def _against_anchors(events: int) -> Verdict | None:
    """What first differs from an anchor, if anything does."""
    previous, archived = "", _archived()
    for name in _names():
        try:
            anchor = _read(name)
        except Untrue:
            return Verdict(events, 0, f"the anchor {name} was not written with our key")
        if anchor.previous != previous:
            return Verdict(events, 0, f"the anchor before {name} is missing or was replaced")
        between = {"id__gte": anchor.digests[0][0], "id__lte": anchor.digests[-1][0]}
        there = dict(Event.objects.filter(**between).values_list("id", "digest"))
        for id, digest in anchor.digests:
            found = there.pop(id, None)
            if found != digest and not (found is None and any(first <= id <= last for first, last in archived)):
                return Verdict(events, id, f"it differs from the anchor of {anchor.at}, or is missing")
        if there:
            return Verdict(events, min(there), f"the anchor of {anchor.at} does not know it")
        previous = _hash(name)
    return None


def _of_files(events: int) -> Verdict | None:
    """The first archive whose file is not what was written, if any."""
    for archive in Archive.objects.all():
        said, digests = archives.said_by(archive), dict[int, str]()
        try:
            broken = follow(_noted(archives.read(said), digests), said.previous)
        except Untrue:
            return Verdict(events, said.first, f"{said.file} is another file than was written")
        if broken.why:
            return replace(broken, why=f"{broken.why}, in {said.file}")
        for anchor in _anchors_of(said.first, said.last):
            for id, digest in anchor.digests:
                if said.first <= id <= said.last and digests.get(id) != digest:
                    return Verdict(events, id, f"it differs from the anchor of {anchor.at}, in {said.file}")
    return None


def _noted(read: Iterator[Event], digests: dict[int, str]) -> Iterator[Event]:
    for event in read:
        digests[event.pk] = event.digest
        yield event


def _anchors_of(first: int, last: int) -> Iterator[Anchor]:
    """Those that have events between the two."""
    for name in _names():
        if int(name.removesuffix(".jws")) >= first:
            anchor = _read(name)
            if anchor.digests[0][0] > last:
                return
            yield anchor


def _waiting() -> int:
    """How many events no anchor has."""
    return Event.objects.filter(id__gt=_last_anchored()).count()


def _write_one() -> int:
    names = _names()
    after = Event.objects.filter(id__gt=_last_anchored()).order_by("id")
    digests = list(after.values_list("id", "digest")[:_MOST])
    previous = _hash(names[-1]) if names else ""
    body = {"at": timezone.now().isoformat(timespec="seconds"), "previous": previous, "digests": digests}
    store.write(f"{digests[-1][0]:020d}.jws", io.BytesIO(_SIGNER.sign(body).encode()))
    log.info("audit_anchored", events=len(digests), last=digests[-1][0])
    return len(digests)


def _last_anchored() -> int:
    names = _names()
    return int(names[-1].removesuffix(".jws")) if names else 0


def _names() -> list[str]:
    return [name for name in store.names() if name.endswith(".jws") and name.removesuffix(".jws").isdigit()]


def _hash(name: str) -> str:
    return hashlib.sha256(store.content(name)).hexdigest()


def _read(name: str) -> Anchor:
    try:
        body = _SIGNER.read(store.content(name))
        digests = tuple((int(id), str(digest)) for id, digest in body["digests"])
        if not digests or digests[-1][0] != int(name.removesuffix(".jws")):
            raise Untrue
        return Anchor(name, body["at"], body["previous"], digests)
    except (ValueError, KeyError, TypeError) as error:
        raise Untrue from error


def public_key() -> dict[str, Any]:
    """For an auditor who verifies anchors without us."""
    return dict(_SIGNER.key().as_dict(private=False))


def lines(events: Any) -> Iterator[str]:
    """Events as JSON Lines, and as the last line the signed head of the whole chain."""
    for event in events.order_by("id").iterator(chunk_size=1000):
        yield archives.line(event)
    yield json.dumps({"head": head()}) + "\n"
