"""Checking a password against whatever hash the legacy system stored, at the same cost for every failure.

The hashing itself is Django's, over bcrypt and argon2-cffi.
"""

from __future__ import annotations

import html
import re
import secrets
from functools import cache

import bcrypt
from django.contrib.auth import hashers

from iam import hashes

_MOST_BYTES = 72
"""bcrypt looks no further, and its library refuses longer ones; the released service answered 500."""


_BCRYPT64 = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class _Argon2id(hashers.Argon2PasswordHasher):
    """As OWASP's Password Storage Cheat Sheet has it: Django's own wants 100 MiB for each sign-in."""

    memory_cost, time_cost, parallelism = 19 * 1024, 2, 1


_ARGON2 = _Argon2id()


def verify(password: str, stored: str | None) -> bool:
    """Whether the password is the one behind the stored hash; `stored` None is a user that does not exist.

    A hash of an unknown kind is never matched. Every failure costs one verification of each kind that we store, or have met:
    else the time would tell whether there is such a user, and whose hash is which.
    """
    if stored is not None and stored.startswith(("$2a$", "$2b$", "$2y$")):
        return _bcrypt(password, stored) or _argon2(password, _decoy_argon2()) or _foreign(password)
    if stored is not None and stored.startswith("$argon2"):
        return _argon2(password, stored) or _bcrypt(password, _decoy()) or _foreign(password)
    if stored is not None and hashes.matches(password, stored):
        return True
    _bcrypt(password, _decoy())
    _argon2(password, _decoy_argon2())
    _foreign(password, stored)
    return False


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
    if not stored.startswith("$2"):
        _bcrypt(password, _decoy())
    if not stored.startswith("$argon2"):
        _argon2(password, _decoy_argon2())
    _foreign(password, stored)
    if html.escape(password) != password:
        verify(html.escape(password), None)


def hashed(password: str, *, final: bool = False) -> str:
    """A new hash: argon2id once the tenant is final; until then it may go back, and legacy reads only bcrypt."""
    if final:
        return _ARGON2.encode(password, _ARGON2.salt()).removeprefix("argon2")
    return bcrypt.hashpw(password.encode()[:_MOST_BYTES], bcrypt.gensalt(12)).decode()


READABLE = (
    r"^(\$2[abxy]\$|\$argon2|\$pbkdf2(-sha(1|256|512))?\$|\$firebase-scrypt\$"
    r"|(pbkdf2_sha(1|256)|argon2|bcrypt(_sha256)?|scrypt|md5)\$)"
)
"""How hashes begin that can be checked here, as Python and PostgreSQL read it."""


def readable(stored: str) -> bool:
    """Whether the hash is of a kind that can be checked here."""
    return re.match(READABLE, stored) is not None


def outdated(stored: str) -> bool:
    """Whether the hash should be made anew once its tenant is final."""
    return not stored.startswith("$argon2id$")


def _bcrypt(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_MOST_BYTES], _without_spare_bits(stored).encode())
    except ValueError:
        return False


def _without_spare_bits(stored: str) -> str:
    """Four bits of a salt's last character mean nothing: some systems kept them, the library refuses them. Raises ValueError."""
    last = _BCRYPT64.index(stored[28:29] or "?")
    return f"{stored[:28]}{_BCRYPT64[last & 0b110000]}{stored[29:]}"


def _argon2(password: str, stored: str) -> bool:
    return bool(hashers.check_password(password, f"argon2{stored}"))


_decoys: dict[str, str] = {}
"""A hash to fail on for each kind and cost that other systems stored, as far as this process has met them."""
_MOST_DECOYS = 2


def _foreign(password: str, stored: str | None = None) -> bool:
    """Fail on each of them but that of `stored`, which has failed by itself."""
    own = hashes.cost(stored) if stored is not None and hashes.known(stored) else ""
    if stored is not None and own and own not in _decoys and len(_decoys) < _MOST_DECOYS:
        _decoys[own] = hashes.decoy(stored)
    for cost, decoy in _decoys.items():
        if cost != own:
            hashes.matches(password, decoy)
    return False


@cache
def _decoy_argon2() -> str:
    return hashed(secrets.token_hex(), final=True)


@cache
def _decoy() -> str:
    return hashed(secrets.token_hex())
