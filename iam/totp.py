"""One-time codes (RFC 6238) of users who enrolled. The legacy system stored their secrets encrypted with AES-256-GCM.

Stored is base64(nonce, 12 bytes · ciphertext · tag, 16 bytes) of the base32 secret, under MFA_SECRET_KEY.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from datetime import timedelta
from functools import cache
from typing import Any

import pyotp
import redis
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from iam import capabilities, throttles
from iam.models import User

_STEPS = 1
"""A code of the step before or after counts, too: clocks differ."""
_NONCE = 12
_CODE = re.compile("[0-9]{6}")
_ENROL = timedelta(minutes=10)


class Unreadable(Exception):
    """Codes cannot be checked: MFA_SECRET_KEY is not set or not the legacy system's, or Redis does not answer."""


def enrolled(user: User) -> bool:
    """Whether a code must be shown. Switched on without a secret, there is nothing to check a code against."""
    return bool(user.mfa_enabled and user.mfa_secret_encrypted)


def verify(user: User, code: str) -> bool:
    """Whether the code is good now; each counts once. Guesses are bounded, whatever else succeeds meanwhile.

    Raises Unreadable and throttles.Unavailable.
    """
    guesses, code = f"code:{user.pk}", code.strip()
    if throttles.too_many_guesses(guesses):
        return False
    # ASCII alone: pyotp takes other digits for the same, and each spelling would count once.
    if not _CODE.fullmatch(code) or not pyotp.TOTP(_secret(user)).verify(code, valid_window=_STEPS):
        throttles.guessed(guesses)
        return False
    # A code that nobody could mark as used would count twice.
    return bool(_ask("set", f"totp:{user.pk}:{code}", 1, nx=True, ex=timedelta(seconds=30 * (2 * _STEPS + 1))))


def waiting(user: User, session: str) -> str:
    """The secret that waits for a code in this session, base32; a new one where none does. Raises Unreadable."""
    stored = _ask("get", _waits(user, session))
    return _opened(stored.decode()) if stored else enrol(user, session)


def enrol(user: User, session: str) -> str:
    """A new secret, base32, which counts once a code of it is `confirmed` in the same session within ten minutes: nobody confirms
    what somebody else, who knows the password, has begun. Raises Unreadable.
    """
    secret = pyotp.random_base32()
    _ask("set", _waits(user, session), sealed(secret, _key(), os.urandom(_NONCE)), ex=_ENROL)
    return secret


def address(user: User, secret: str) -> str:
    """The secret as an otpauth:// address, which authenticators read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(
        name=user.email or user.username or str(user.pk), issuer_name="Sigma IAM"
    )


def confirmed(user: User, session: str, code: str) -> bool:
    """Whether the code is one of the secret that waits; then the user is enrolled. Raises Unreadable."""
    stored = _ask("get", _waits(user, session))
    if stored is None:
        return False
    user.mfa_secret_encrypted = stored.decode()
    if not verify(user, code):
        return False
    user.mfa_enabled = True
    user.save(update_fields=["mfa_enabled", "mfa_secret_encrypted"])
    capabilities.note_enrolment(user)
    _ask("delete", _waits(user, session))
    return True


def forget(user: User) -> None:
    """The user has to enrol anew."""
    user.mfa_enabled, user.mfa_secret_encrypted = False, None
    user.save(update_fields=["mfa_enabled", "mfa_secret_encrypted"])
    capabilities.note_enrolment(user)


def sealed(secret: str, key: bytes, nonce: bytes) -> str:
    """A base32 secret as the legacy system stores it."""
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, secret.encode(), None)).decode()


def _waits(user: User, session: str) -> str:
    """Where a secret is that no code of has been shown yet."""
    return f"totp:enrol:{user.pk}:{session}"


def _secret(user: User) -> str:
    return _opened(user.mfa_secret_encrypted or "")


def _opened(sealed: str) -> str:
    try:
        stored = base64.b64decode(sealed, validate=True)
        return AESGCM(_key()).decrypt(stored[:_NONCE], stored[_NONCE:], None).decode()
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise Unreadable from error


def _ask(command: str, *arguments: Any, **options: Any) -> Any:
    """Raises Unreadable when Redis does not answer."""
    try:
        return getattr(_redis(settings.REDIS_URL), command)(*arguments, **options)
    except redis.RedisError as error:
        raise Unreadable from error


def _key() -> bytes:
    key = base64.b64decode(settings.MFA_SECRET_KEY)
    if not key:
        raise Unreadable
    return key


@cache
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
