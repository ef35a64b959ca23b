"""Checking a password against whatever hash the legacy system stored, at the same cost for every failure.

The hashing itself is Django's, over bcrypt and argon2-cffi.
"""

from __future__ import annotations

import html
from functools import cache

import bcrypt
from django.contrib.auth import hashers

_MOST_BYTES = 72
"""bcrypt looks no further, and its library refuses longer ones; the released service answered 500."""


def verify(password: str, stored: str | None) -> bool:
    """Whether the password is the one behind the stored hash; `stored` None is a user that does not exist.

    A hash of an unknown kind is never matched. Every failure costs one verification.
    """
    if stored is None:
        _bcrypt(password, _decoy())
        return False
    if stored.startswith(("$2a$", "$2b$", "$2y$")):
        return _bcrypt(password, stored)
    encoded = f"argon2{stored}" if stored.startswith("$argon2") else stored
    try:
        hashers.identify_hasher(encoded)
    except ValueError:
        _bcrypt(password, _decoy())
        return False
    return bool(hashers.check_password(password, encoded))


def verify_as_legacy(password: str, stored: str | None, *, by_legacy: bool = True) -> bool:
    """Also as the released service stored passwords that came as JSON: HTML-escaped before they were hashed.

    That counts only for hashes made `by_legacy`, but costs the same for all, and for users that do not exist.
    """
    if verify(password, stored):
        return True
    escaped = html.escape(password)
    return escaped != password and verify(escaped, stored) and by_legacy


def hashed(password: str, *, final: bool = False) -> str:
    """A new hash: argon2id once the tenant is final; until then it may go back, and legacy reads only bcrypt."""
    if final:
        return hashers.make_password(password, hasher="argon2").removeprefix("argon2")
    return bcrypt.hashpw(password.encode()[:_MOST_BYTES], bcrypt.gensalt(12)).decode()


def outdated(stored: str) -> bool:
    """Whether the hash should be made anew once its tenant is final."""
    return not stored.startswith("$argon2id$")


def _bcrypt(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_MOST_BYTES], stored.encode())
    except ValueError:
        return False


@cache
def _decoy() -> str:
    return bcrypt.hashpw(b"nobody's password", bcrypt.gensalt(12)).decode()
