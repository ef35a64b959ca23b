"""Checking a password against whatever hash the legacy system stored, at the same cost for every failure.

The hashing itself is of the libraries that hashes.py names.
"""

from __future__ import annotations

import html
import re
import secrets
from collections import OrderedDict
from functools import cache
from typing import Any

import bcrypt
from django.conf import settings
from django.contrib.auth import hashers
from django.core.checks import CheckMessage, Error, Tags, register

from iam import hashes


class _Argon2id(hashers.Argon2PasswordHasher):
    """As OWASP's Password Storage Cheat Sheet has it: Django's own wants 100 MiB for each sign-in."""

    memory_cost, time_cost, parallelism = 19 * 1024, 2, 1


_ARGON2 = _Argon2id()
_met: OrderedDict[str, str] = OrderedDict()
"""A hash to fail on for each kind and cost that is not ours, as far as this process has met them: the latest ones."""
_MOST_MET = 2


def verify(password: str, stored: str | None) -> bool:
    """Whether the password is the one behind the stored hash; `stored` None is a user that does not exist.

    A hash of an unknown kind is never matched. Every failure costs one verification of each kind that we store, or have met:
    else the time would tell whether there is such a user, and whose hash is which.
    """
    kind = _meet(stored)
    if stored is not None and kind and hashes.matches(password, stored):
        return True
    _fail(password, besides=kind)
    return False


def _meet(stored: str | None) -> str:
    """The hash's kind."""
    kind = hashes.kind(stored or "")
    if stored is not None and kind and kind not in _ours():
        if kind not in _met:
            _met[kind] = hashes.decoy(stored)
        _met.move_to_end(kind)
        while len(_met) > _MOST_MET:
            _met.popitem(last=False)
    return kind


def _fail(password: str, *, besides: str) -> None:
    """On a hash of each kind but this one."""
    for kind, decoy in {**_ours(), **_met.copy()}.items():
        if kind != besides:
            hashes.matches(password, decoy)


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
    _fail(password, besides=hashes.kind(stored))
    if html.escape(password) != password:
        verify(html.escape(password), None)


def hashed(password: str, *, final: bool = False) -> str:
    """A new hash: argon2id once the tenant is final; until then it may go back, and legacy reads only bcrypt."""
    if final:
        return _ARGON2.encode(password, _ARGON2.salt()).removeprefix("argon2")
    return bcrypt.hashpw(password.encode()[: hashes.MOST_BYTES], bcrypt.gensalt(settings.BCRYPT_COST)).decode()


READABLE = (
    r"^(\$2[abxy]\$|\$argon2|\$pbkdf2(-sha(1|256|512))?\$|\$firebase-scrypt\$"
    r"|(pbkdf2_sha(1|256)|argon2|bcrypt(_sha256)?|scrypt|md5)\$)"
)
"""How hashes begin that can be checked here, as Python and PostgreSQL read it."""
NONE = r"^($|[!*])"
"""How what is stored begins where there is none, on purpose: who signs in by another door."""
SETTLED = rf"{READABLE}|{NONE}"
"""How what is stored begins of all who need no other system's word."""


def readable(stored: str) -> bool:
    """Whether the hash is of a kind that can be checked here."""
    return re.match(READABLE, stored) is not None


def settled(stored: str) -> bool:
    """Whether its owner needs no other system's word."""
    return re.match(SETTLED, stored) is not None


def outdated(stored: str) -> bool:
    """Whether the hash should be made anew once its tenant is final: it is not of the kind that we make then."""
    return hashes.kind(stored) != hashes.kind(_decoy_argon2())


def renewable(password: str, stored: str) -> bool:
    """Whether the password is known whole: bcrypt looks at its beginning alone, and the rest may be a slip."""
    return len(password.encode()) <= hashes.MOST_BYTES or not hashes.kind(stored).startswith("bcrypt ")


@cache
def _ours() -> dict[str, str]:
    """The kinds that we make, each with a hash to fail on."""
    return {hashes.kind(decoy): decoy for decoy in (_decoy(), _decoy_argon2())}


@cache
def _decoy_argon2() -> str:
    return hashed(secrets.token_hex(), final=True)


@cache
def _decoy() -> str:
    return hashed(secrets.token_hex())


@register(Tags.security, deploy=True)
def costly_enough(**_: Any) -> list[CheckMessage]:
    """10 is the least that OWASP's Password Storage Cheat Sheet allows; above 15 a sign-in takes seconds."""
    if 10 <= settings.BCRYPT_COST <= 15:
        return []
    what = f"BCRYPT_COST is {settings.BCRYPT_COST}: new passwords would be cheap to guess, or sign-ins take seconds."
    return [Error(what, hint="Set it to 12, or to a number from 10 to 15.", id="iam.E002")]
