"""Password hashes of every kind that can be checked here, as the systems do that stored them.

bcrypt and argon2 by their libraries, Django's other formats by Django's own hashers, PBKDF2 as Keycloak and passlib store it
(RFC 8018, 5.2), and Firebase's scrypt (github.com/firebase/scrypt) over `hashlib` and `cryptography`. A hash that would take
more time or memory than any system asks for is of no kind: what is stored must not say how long a login takes.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

import bcrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.conf import settings
from django.contrib.auth import hashers

MOST_BYTES = 72
"""bcrypt looks no further, and its library refuses longer ones; the released service answered 500."""
_BCRYPT64 = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LEAST_BYTES, _LONGEST_BYTES = 16, 64
"""Of a PBKDF2 hash: a shorter one is damaged, and too many passwords have it."""


def _django(hasher: hashers.BasePasswordHasher) -> Callable[[str, str], bool]:
    return lambda password, stored: bool(hasher.verify(password, stored))


def _bcrypt(password: str, stored: str) -> bool:
    plain = stored.removeprefix("bcrypt$")
    # Four bits of a salt's last character mean nothing: some systems kept them, the library refuses them.
    last = _BCRYPT64.index(plain[28])
    hashed = f"{plain[:28]}{_BCRYPT64[last & 0b110000]}{plain[29:]}"
    return bcrypt.checkpw(password.encode()[:MOST_BYTES], hashed.encode())


def _argon2(password: str, stored: str) -> bool:
    return bool(
        hashers.Argon2PasswordHasher().verify(password, stored if stored.startswith("argon2") else f"argon2{stored}")
    )


def _pbkdf2(password: str, stored: str) -> bool:
    digest, rounds, salt, hashed = stored.removeprefix("$pbkdf2").removeprefix("-").split("$")
    wanted = _bytes(hashed)
    if not _LEAST_BYTES <= len(wanted) <= _LONGEST_BYTES:
        return False
    made = hashlib.pbkdf2_hmac(
        digest or "sha1", password.encode(), _bytes(salt), int(rounds.removeprefix("i=")), len(wanted)
    )
    return compare_digest(made, wanted)


def _firebase(password: str, stored: str) -> bool:
    """The project's signer key, encrypted by AES-CTR with what scrypt makes of the password; without that key, nobody's."""
    _, _, costs, salt, hashed = stored.split("$")
    rounds, memory = (int(each.partition("=")[2]) for each in costs.split(","))
    if not settings.FIREBASE_SIGNER_KEY:
        return False
    salted = _bytes(salt) + _bytes(settings.FIREBASE_SALT_SEPARATOR)
    key = hashlib.scrypt(password.encode(), salt=salted, n=2**memory, r=rounds, p=1, dklen=32, maxmem=2**28)
    cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return compare_digest(cipher.update(_bytes(settings.FIREBASE_SIGNER_KEY)) + cipher.finalize(), _bytes(hashed))


@dataclass(frozen=True)
class _Kind:
    """How its hashes are written, with their costs as groups; the most of each that is computed; and how one is checked."""

    pattern: re.Pattern[str]
    most: tuple[int, ...]
    check: Callable[[str, str], bool]


_B64 = r"[\w+/.=-]"
_ROUNDS = 3_000_000
_KINDS = {
    name: _Kind(re.compile(pattern), most, check)
    for name, pattern, most, check in (
        ("bcrypt", r"(?:bcrypt\$)?\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}", (15,), _bcrypt),
        (
            "argon2", rf"(?:argon2)?\$argon2(?:id|i|d)(?:\$v=\d\d)?\$m=(\d{{1,7}}),t=(\d{{1,3}}),p=(\d{{1,2}})\${_B64}+\${_B64}+",
            (262_144, 16, 16), _argon2,
        ),
        ("pbkdf2", rf"\$pbkdf2(?:-(?:sha1|sha256|sha512))?\$(?:i=)?(\d{{1,7}})\${_B64}+\${_B64}+", (_ROUNDS,), _pbkdf2),
        ("firebase", rf"\$firebase-scrypt\$r=(\d{{1,2}}),m=(\d{{1,2}})\${_B64}+\${_B64}+", (16, 16), _firebase),
        (
            "pbkdf2_sha256", rf"pbkdf2_sha256\$(\d{{1,7}})\$[^$]+\${_B64}{{20,}}", (_ROUNDS,),
            _django(hashers.PBKDF2PasswordHasher()),
        ),
        (
            "pbkdf2_sha1", rf"pbkdf2_sha1\$(\d{{1,7}})\$[^$]+\${_B64}{{20,}}", (_ROUNDS,),
            _django(hashers.PBKDF2SHA1PasswordHasher()),
        ),
        (
            "bcrypt_sha256", r"bcrypt_sha256\$\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}", (15,),
            _django(hashers.BCryptSHA256PasswordHasher()),
        ),
        (
            "scrypt", rf"scrypt\$(\d{{1,6}})\$[^$]+\$(\d{{1,2}})\$(\d)\${_B64}{{20,}}", (65_536, 16, 8),
            _django(hashers.ScryptPasswordHasher()),
        ),
        ("md5", r"md5\$[^$]+\$[0-9a-f]{32}", (), _django(hashers.MD5PasswordHasher())),
    )
}  # fmt: skip


def kind(stored: str) -> str:
    """What hashes of one algorithm and cost have in common; empty for one that cannot be checked here."""
    for name, each in _KINDS.items():
        if match := each.pattern.fullmatch(stored):
            costs = [int(cost) for cost in match.groups()]
            fits = all(cost <= most for cost, most in zip(costs, each.most, strict=True))
            told = stored.split("$")[1] if name in ("pbkdf2", "argon2") else ""
            return f"{name} {told} {costs}" if fits else ""
    return ""


def matches(password: str, stored: str) -> bool:
    """Whether the password is the one behind the hash; never for one of no kind, or that is damaged."""
    named = kind(stored).partition(" ")[0]
    try:
        return bool(named) and _KINDS[named].check(password, stored)
    except Exception:
        # Each library has its own ways of saying that a hash is damaged; a login must not tell, nor break.
        return False


def decoy(stored: str) -> str:
    """A hash of the same kind and cost that no password matches, and that takes as long to find out."""
    if match := re.fullmatch(r"(.*\$2[abxy]\$\d\d\$)[./A-Za-z0-9]{53}", stored):
        letters = "".join(secrets.choice(_BCRYPT64) for _ in range(21))
        return f"{match[1]}{letters}{secrets.choice('.Oeu')}{''.join(secrets.choice(_BCRYPT64) for _ in range(30))}."
    start, separator, last = stored.rpartition("$")
    if stored.startswith("md5$"):
        return f"{start}{separator}{secrets.token_hex(16)}"
    made = base64.b64encode(secrets.token_bytes(len(_bytes(last)))).decode()
    return start + separator + (made if last.endswith("=") else made.rstrip("="))


def _bytes(text: str) -> bytes:
    """Base64 in any of its alphabets (passlib's writes . for +), with its padding or without."""
    plain = text.rstrip("=").replace(".", "+").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
