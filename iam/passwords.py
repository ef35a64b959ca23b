"""Checking a password against whatever hash the legacy system stored, at the same cost for every failure.

The hashing itself is Django's, over bcrypt and argon2-cffi.
"""

from __future__ import annotations

import html
import secrets
from functools import cache

import bcrypt
from django.contrib.auth import hashers

_MOST_BYTES = 72
"""bcrypt looks no further, and its library refuses longer ones; the released service answered 500."""


class _Argon2id(hashers.Argon2PasswordHasher):
    """As OWASP's Password Storage Cheat Sheet has it: Django's own wants 100 MiB for each sign-in."""

    memory_cost, time_cost, parallelism = 19 * 1024, 2, 1


_ARGON2 = _Argon2id()


def verify(password: str, stored: str | None) -> bool:
    """Whether the password is the one behind the stored hash; `stored` None is a user that does not exist.

    A hash of an unknown kind is never matched. Every failure costs one verification of each kind that we store: else the
    time would tell whether there is such a user, and whose hash is which.
    """
    if stored is not None and stored.startswith(("$2a$", "$2b$", "$2y$")):
        return _bcrypt(password, stored) or _argon2(password, _decoy_argon2())
    if stored is not None and stored.startswith("$argon2"):
        return _argon2(password, stored) or _bcrypt(password, _decoy())
    if stored is not None and _readable(stored):
        return bool(hashers.check_password(password, stored))
    _bcrypt(password, _decoy())
    return _argon2(password, _decoy_argon2())


def verify_as_legacy(password: str, stored: str | None, *, by_legacy: bool = True) -> bool:
    """Also as the released service stored passwords that came as JSON: HTML-escaped before they were hashed.

    That counts only for hashes made `by_legacy`, but costs the same for all, and for users that do not exist.
    """
    if verify(password, stored):
        return True
    escaped = html.escape(password)
    return escaped != password and verify(escaped, stored) and by_legacy


def as_if_wrong(password: str, stored: str) -> None:
    """What a failure would have cost more: for a right password that is refused all the same."""
    if stored.startswith("$argon2"):
        _bcrypt(password, _decoy())
    else:
        _argon2(password, _decoy_argon2())
    if html.escape(password) != password:
        verify(html.escape(password), None)


def hashed(password: str, *, final: bool = False) -> str:
    """A new hash: argon2id once the tenant is final; until then it may go back, and legacy reads only bcrypt."""
    if final:
        return _ARGON2.encode(password, _ARGON2.salt()).removeprefix("argon2")
    return bcrypt.hashpw(password.encode()[:_MOST_BYTES], bcrypt.gensalt(12)).decode()


def outdated(stored: str) -> bool:
    """Whether the hash should be made anew once its tenant is final."""
    return not stored.startswith("$argon2id$")


def _bcrypt(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_MOST_BYTES], stored.encode())
    except ValueError:
        return False


def _argon2(password: str, stored: str) -> bool:
    return bool(hashers.check_password(password, f"argon2{stored}"))


def _readable(stored: str) -> bool:
    try:
        hashers.identify_hasher(stored)
    except ValueError:
        return False
    return True


@cache
def _decoy_argon2() -> str:
    return hashed(secrets.token_hex(), final=True)


@cache
def _decoy() -> str:
    return hashed(secrets.token_hex())
