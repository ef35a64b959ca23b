"""The chain's head, signed, and written where the database's owner cannot reach: AUDIT_ANCHORS, a directory or s3://bucket/prefix.

The database's owner can rewrite every event and the whole chain over them. An anchor keeps the digests of the events since the
one before it, so that verification can name the first that is not what it was. Each is a JWS (RFC 7515) over canonical JSON, signed
with ES256 by a key that is derived from AUDIT_ANCHOR_KEY, or else from SECRET_KEY: neither stands in the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import fsspec
import structlog
from botocore.exceptions import BotoCoreError
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from migration_portal.audit.chain import Verdict
from migration_portal.audit.chain import verify as verify_chain
from migration_portal.audit.models import Event
from migration_portal.locks import Lock, one_after_the_other
from migration_portal.refusal import Refusal
from migration_portal.signing import Signer, Untrue

log = structlog.get_logger(__name__)
_SIGNER = Signer("audit anchors", "audit-anchor")
_AWAY = (OSError, BotoCoreError)
"""What stores raise when they do not answer."""
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
    except _AWAY as error:
        raise Refusal(
            "The audit log cannot be anchored.", subject=settings.AUDIT_ANCHORS, todo=f"The store says: {error}."
        ) from error


def head() -> str:
    """The last event's digest, signed: what goes along with an export."""
    last = Event.objects.order_by("-id").values_list("id", "digest").first()
    return _SIGNER.sign({"at": timezone.now().isoformat(), "head": list(last) if last else []})


def verify() -> Verdict:
    """The chain itself, and then each anchor against it. Raises Refusal when the store does not answer."""
    verdict = verify_chain()
    try:
        if not verdict.intact:
            return verdict
        return _against_anchors(verdict.events) or replace(verdict, anchored=_last_anchored())
    except _AWAY as error:
        raise Refusal(
            "The anchors cannot be read.", subject=settings.AUDIT_ANCHORS, todo=f"The store says: {error}."
        ) from error


def _against_anchors(events: int) -> Verdict | None:
    """What first differs from an anchor, if anything does."""
    previous = ""
    for name in _names():
        try:
            anchor = _read(name)
        except Untrue:
            return Verdict(events, 0, f"the anchor {name} was not written with our key")
        if anchor.previous != previous:
            return Verdict(events, 0, f"the anchor before {name} is missing or was replaced")
        first, last = anchor.digests[0][0], anchor.digests[-1][0]
        there = dict(Event.objects.filter(id__gte=first, id__lte=last).values_list("id", "digest"))
        for id, digest in anchor.digests:
            if there.pop(id, None) != digest:
                return Verdict(events, id, f"it differs from the anchor of {anchor.at}, or is missing")
        if there:
            return Verdict(events, min(there), f"the anchor of {anchor.at} does not know it")
        previous = _hash(name)
    return None


def _waiting() -> int:
    """How many events no anchor has."""
    return Event.objects.filter(id__gt=_last_anchored()).count()


def _write_one() -> int:
    names = _names()
    after = Event.objects.filter(id__gt=_last_anchored()).order_by("id")
    digests = list(after.values_list("id", "digest")[:_MOST])
    previous = _hash(names[-1]) if names else ""
    body = {"at": timezone.now().isoformat(timespec="seconds"), "previous": previous, "digests": digests}
    system, place = _store()
    system.makedirs(place, exist_ok=True)
    path = f"{place}/{digests[-1][0]:020d}.jws"
    # Under another name until it is whole: half an anchor would count as made up.
    system.pipe_file(f"{path}.part", _SIGNER.sign(body).encode())
    system.mv(f"{path}.part", path)
    log.info("audit_anchored", events=len(digests), last=digests[-1][0])
    return len(digests)


def _last_anchored() -> int:
    names = _names()
    return int(names[-1].removesuffix(".jws")) if names else 0


def _names() -> list[str]:
    system, place = _store()
    system.invalidate_cache()
    if not system.exists(place):
        return []
    found = (path.rpartition("/")[2] for path in system.ls(place, detail=False))
    return sorted(name for name in found if name.endswith(".jws") and name.removesuffix(".jws").isdigit())


def _content(name: str) -> bytes:
    system, place = _store()
    return bytes(system.cat_file(f"{place}/{name}"))


def _hash(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()


def _read(name: str) -> Anchor:
    try:
        body = _SIGNER.read(_content(name))
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
        fields = (
            "id",
            "actor",
            "verb",
            "object_type",
            "object_id",
            "reason",
            "request_id",
            "run",
            "data",
            "previous",
            "digest",
        )
        yield json.dumps({"at": event.at.isoformat(), **{name: getattr(event, name) for name in fields}}) + "\n"
    yield json.dumps({"head": head()}) + "\n"


def _store() -> tuple[Any, str]:
    options = settings.AUDIT_ANCHORS_OPTIONS
    system, place = fsspec.core.url_to_fs(settings.AUDIT_ANCHORS, **options)
    return system, place.rstrip("/")
