"""One-time codes (RFC 6238) of users who enrolled. The legacy system stored their secrets encrypted with AES-256-GCM.

Stored is base64(nonce, 12 bytes · ciphertext · tag, 16 bytes) of the base32 secret, under MFA_SECRET_KEY.
"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from functools import cache

import pyotp
import redis
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from iam.models import User

_STEPS = 1
"""A code of the step before or after counts, too: clocks differ."""
_NONCE = 12


class Unreadable(Exception):
    """The user's secret cannot be decrypted: MFA_SECRET_KEY is not set, or is not the legacy system's."""


def enrolled(user: User) -> bool:
    """Whether a code must be shown. Switched on without a secret, there is nothing to check a code against."""
    return bool(user.mfa_enabled and user.mfa_secret_encrypted)


def verify(user: User, code: str) -> bool:
    """Whether the code is good now; each counts once. Raises Unreadable."""
    if not pyotp.TOTP(_secret(user)).verify(code.strip(), valid_window=_STEPS):
        return False
    used = f"totp:{user.pk}:{code.strip()}"
    return bool(_redis(settings.REDIS_URL).set(used, 1, nx=True, ex=timedelta(seconds=30 * (2 * _STEPS + 1))))


def sealed(secret: str, key: bytes, nonce: bytes) -> str:
    """A base32 secret as the legacy system stores it."""
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, secret.encode(), None)).decode()


def _secret(user: User) -> str:
    try:
        key = base64.b64decode(settings.MFA_SECRET_KEY, validate=True)
        stored = base64.b64decode(user.mfa_secret_encrypted or "", validate=True)
        return AESGCM(key).decrypt(stored[:_NONCE], stored[_NONCE:], None).decode()
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise Unreadable from error


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)
