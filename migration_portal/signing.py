"""Signing what is kept outside the databases: a JWS (RFC 7515) over canonical JSON, ES256.

The key is derived from AUDIT_ANCHOR_KEY, or else from SECRET_KEY, and from what it is for: neither stands in a database.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

ALGORITHM = "ES256"
_ORDER = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16)
"""Of the group of P-256 (SEC 2 §2.4.2)."""


class Untrue(Exception):
    """The text was not signed by us, or has changed since."""


@dataclass(frozen=True)
class Signer:
    """Signs for one purpose; `kind` is the JWS's `typ`."""

    purpose: str
    kind: str

    def sign(self, body: dict[str, Any]) -> str:
        payload = json.dumps(body, sort_keys=True, separators=(",", ":"))
        key = self.key()
        return jws.serialize_compact({"alg": ALGORITHM, "typ": self.kind, "kid": key.kid}, payload, key)

    def read(self, text: bytes) -> dict[str, Any]:
        """What was signed. Raises Untrue."""
        try:
            if any(urlsafe_b64encode(urlsafe_b64decode(part)) != part for part in text.split(b".")):
                raise Untrue  # base64 has room for a change that decodes to the same bytes
            found = json.loads(jws.deserialize_compact(text, self._keys(), [ALGORITHM]).payload)
        except (JoseError, ValueError) as error:
            raise Untrue from error
        if not isinstance(found, dict):
            raise Untrue
        return found

    def key(self) -> ECKey:
        return _key(self.purpose, str(settings.AUDIT_ANCHOR_KEY or settings.SECRET_KEY))

    def _keys(self) -> KeySet:
        """Ours, and those before it."""
        secrets = {settings.AUDIT_ANCHOR_KEY, settings.SECRET_KEY, *settings.AUDIT_ANCHOR_OLD_KEYS} - {""}
        return KeySet([_key(self.purpose, secret) for secret in sorted(secrets)])


@cache
def _key(purpose: str, secret: str) -> ECKey:
    number = int.from_bytes(hashlib.sha512(f"{purpose}:{secret}".encode()).digest()) % (_ORDER - 1) + 1
    private = ec.derive_private_key(number, ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = ECKey.import_key(pem)
    return ECKey.import_key(pem, {"kid": key.thumbprint()})
