"""The two forms of tokens: JWTs as the legacy system issues them (HS256), and our own (ES256, keys in iam/keys.py).

A token's algorithm says which key it must be signed with, so neither passes for the other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from django.conf import settings
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from iam import keys


class BadToken(Exception):
    """The token is not ours, was changed, has expired, was revoked, or is of the wrong kind."""


def signed(claims: dict[str, Any], life: timedelta) -> str:
    """A token of our own form."""
    now, key = int(time.time()), keys.signing()
    about = {"iss": settings.ISSUER, "iat": now, "exp": now + int(life.total_seconds())}
    return jwt.encode({"alg": keys.ALGORITHM, "typ": "JWT", "kid": key.kid}, claims | about, key, [keys.ALGORITHM])


def signed_as_legacy(claims: dict[str, Any], life: timedelta) -> str:
    """A token as the legacy system issues them."""
    expires = int(time.time() + life.total_seconds())
    return jwt.encode(
        {"alg": "HS256", "typ": "JWT"}, claims | {"exp": expires}, legacy_key(settings.LEGACY_JWT_SECRET), ["HS256"]
    )


def verified(token: str) -> Mapping[str, Any]:
    """The claims of a token whose signature and issuer are right, expired or not. Raises BadToken."""
    try:
        if jws.extract_compact(token.encode()).headers().get("alg") == keys.ALGORITHM:
            claims: Mapping[str, Any] = jwt.decode(token, keys.verifying(), [keys.ALGORITHM]).claims
            issuer = settings.ISSUER
        else:
            claims, issuer = _of_legacy_form(token, settings.LEGACY_JWT_SECRET), None
    except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise BadToken from error
    if claims.get("iss") != issuer:
        raise BadToken
    return claims


@cache
def legacy_key(secret: str) -> OctKey:
    return OctKey.import_key(secret)


@lru_cache(4096)
def _of_legacy_form(token: str, secret: str) -> Mapping[str, Any]:
    """A signature that was good once is good for ever; whether the token has expired is asked each time."""
    return MappingProxyType(jwt.decode(token, legacy_key(secret), ["HS256"]).claims)
