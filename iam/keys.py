"""The keys that tokens of the new API are signed with: ES256, rotated, published as a JWK set.

A new key signs from the moment it is made; an old one stays published until the last
token it may have signed has expired. The private halves are stored encrypted.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from joserfc import jwe
from joserfc.jwk import ECKey, KeySet, OctKey

from iam.models import SigningKey

ALGORITHM = "ES256"
SIGNS_FOR = timedelta(days=30)
KNOWN_FOR = SIGNS_FOR + timedelta(days=366)
"""A refresh token lives for a year at most."""
_SECONDS = 30.0


@dataclass(frozen=True)
class _Keys:
    """What was read, when, and from which database."""

    read_at: float
    database: str
    newest: ECKey
    all: KeySet


_known: _Keys | None = None


def signing() -> ECKey:
    """The key to sign with: the newest. The first one is made when it is asked for."""
    return _keys().newest


def verifying() -> KeySet:
    """Every key whose signatures still count."""
    return _keys().all


def published() -> dict[str, Any]:
    """The JWK set for the world: public halves only."""
    return {"keys": [{**stored.public_jwk, "use": "sig", "alg": ALGORITHM} for stored in _stored()]}


def rotate(*, now: bool = False) -> bool:
    """Make a new key when the newest has signed long enough, or `now`; drop those nobody needs. Returns whether one was made."""
    SigningKey.objects.filter(created_at__lt=timezone.now() - KNOWN_FOR).delete()
    due = not SigningKey.objects.filter(created_at__gt=timezone.now() - SIGNS_FOR).exists()
    if due or now:
        _make()
        forget()
    return due or now


def forget() -> None:
    """Read the keys again at the next use."""
    global _known
    _known = None


def _keys() -> _Keys:
    global _known
    current = _known
    if (
        current is None
        or current.database != settings.IAM_DATABASE_URL
        or time.monotonic() - current.read_at > _SECONDS
    ):
        opened = [_opened(key) for key in _stored() or [_make()]]
        current = _known = _Keys(time.monotonic(), settings.IAM_DATABASE_URL, opened[-1], KeySet([*opened]))
    return current


def _stored() -> list[SigningKey]:
    return list(SigningKey.objects.filter(created_at__gt=timezone.now() - KNOWN_FOR).order_by("created_at"))


def _make() -> SigningKey:
    kid = uuid.uuid4().hex
    key = ECKey.generate_key("P-256", parameters={"kid": kid})
    private = json.dumps(key.as_dict(private=True)).encode()
    sealed = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, private, _seal())
    return SigningKey.objects.create(kid=kid, public_jwk=key.as_dict(private=False), private_jwk_encrypted=sealed)


def _opened(stored: SigningKey) -> ECKey:
    private = jwe.decrypt_compact(stored.private_jwk_encrypted, _seal()).plaintext
    assert private is not None
    return ECKey.import_key(json.loads(private))


def _seal() -> OctKey:
    return OctKey.import_key(hashlib.sha256(f"signing keys:{settings.SECRET_KEY}".encode()).digest())
