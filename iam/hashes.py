"""Password hashes that other systems stored, checked as those systems do.

bcrypt and argon2 are checked by passwords.py; here is the rest: Django's formats by Django's own hashers, PBKDF2 as Keycloak and
passlib store it, and Firebase's scrypt (github.com/firebase/scrypt) over `hashlib` and `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.conf import settings
from django.contrib.auth import hashers

_DJANGOS: dict[str, hashers.BasePasswordHasher] = {
    str(hasher.algorithm): hasher()
    for hasher in (
        hashers.PBKDF2PasswordHasher, hashers.PBKDF2SHA1PasswordHasher, hashers.Argon2PasswordHasher,
        hashers.BCryptSHA256PasswordHasher, hashers.BCryptPasswordHasher, hashers.ScryptPasswordHasher, hashers.MD5PasswordHasher,
    )
}  # fmt: skip
_PBKDF2 = re.compile(r"\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d{1,7})\$([\w+/.=-]+)\$([\w+/.=-]+)")
_FIREBASE = re.compile(r"\$firebase-scrypt\$r=(\d{1,2}),m=(\d{1,2})\$([\w+/=-]+)\$([\w+/=-]+)")
_LARGEST = 2**16
"""Of scrypt's cost: a stored hash must not say how much memory we take (64 MiB for each of its blocks)."""


def matches(password: str, stored: str) -> bool:
    """Whether the password is the one behind the hash; never for one of an unknown kind, or that is damaged."""
    check = _check_of(stored)
    try:
        return check is not None and check(password, stored)
    except (ValueError, AssertionError, TypeError, IndexError, binascii.Error, MemoryError):
        return False


def known(stored: str) -> bool:
    """Whether it is of a kind that can be checked here."""
    return _check_of(stored) is not None


def decoy(stored: str) -> str:
    """A hash of the same kind and cost that no password matches: it begins alike, and its last field is another."""
    start, separator, last = stored.rpartition("$")
    return start + separator + base64.b64encode(secrets.token_bytes(max(len(last) * 3 // 4, 1))).decode()[: len(last)]


def cost(stored: str) -> str:
    """What hashes of one kind and cost have in common: all but salt and hash."""
    return "$".join(stored.split("$")[:3])


def _check_of(stored: str) -> Callable[[str, str], bool] | None:
    if _PBKDF2.fullmatch(stored):
        return _pbkdf2
    if _FIREBASE.fullmatch(stored):
        return _firebase
    hasher = _DJANGOS.get(stored.partition("$")[0])
    return hasher.verify if hasher and "$" in stored else None  # type: ignore[return-value]


def _pbkdf2(password: str, stored: str) -> bool:
    """Keycloak's and passlib's: $pbkdf2-digest$iterations$salt$hash, without a digest SHA-1; RFC 8018, 5.2."""
    match = _PBKDF2.fullmatch(stored)
    assert match is not None
    salt, wanted = _bytes(match[3]), _bytes(match[4])
    return compare_digest(
        hashlib.pbkdf2_hmac(match[1] or "sha1", password.encode(), salt, int(match[2]), len(wanted)), wanted
    )


def _firebase(password: str, stored: str) -> bool:
    """The project's signer key, encrypted by AES-CTR with what scrypt makes of the password. Raises ValueError without that key."""
    match = _FIREBASE.fullmatch(stored)
    assert match is not None
    if not settings.FIREBASE_SIGNER_KEY:
        raise ValueError("FIREBASE_SIGNER_KEY is not set")
    rounds, cost = int(match[1]), 2 ** int(match[2])
    if cost > _LARGEST:
        raise ValueError("it would take too much memory")
    salt = _bytes(match[3]) + _bytes(settings.FIREBASE_SALT_SEPARATOR)
    key = hashlib.scrypt(password.encode(), salt=salt, n=cost, r=rounds, p=1, dklen=32, maxmem=2**30)
    cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return compare_digest(cipher.update(_bytes(settings.FIREBASE_SIGNER_KEY)) + cipher.finalize(), _bytes(match[4]))


def _bytes(text: str) -> bytes:
    """Base64 in any of its alphabets (passlib's writes . for +), with its padding or without."""
    plain = text.rstrip("=").replace(".", "+").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
