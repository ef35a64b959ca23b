"""Hashes that other systems made: published examples where there are any."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret
from django.contrib.auth import hashers

from iam import hashes, passwords

FIREBASE = (
    "$firebase-scrypt$r=8,m=14$42xEC+ixf3L2lw==$"
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
)
PUBLISHED = {
    # github.com/firebase/scrypt, its README
    "Firebase": ("user1password", FIREBASE),
    # passlib's documentation of pbkdf2_sha256
    "passlib": ("password", "$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M"),
    # PHP's documentation of password_verify and password_hash
    "PHP bcrypt": ("rasmuslerdorf", "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq"),
    "PHP argon2i": (
        "rasmuslerdorf", "$argon2i$v=19$m=1024,t=2,p=2$YzJBSzV4TUhkMzc3d3laeg$zqU/1IN0/AogfP4cmSJI1vc8lpXRW9/S0sYY2i2jHT0",
    ),
}  # fmt: skip
SIGNER_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="


@pytest.fixture(autouse=True)
def signer_key(settings: Any) -> None:
    settings.FIREBASE_SIGNER_KEY = SIGNER_KEY
    passwords._met.clear()


@pytest.mark.parametrize("system", PUBLISHED)
def test_a_published_hash_is_the_passwords(system: str) -> None:
    password, stored = PUBLISHED[system]
    assert passwords.verify(password, stored)
    assert not passwords.verify(f"{password}!", stored)


def test_a_salt_with_bits_too_many_is_read_as_php_reads_it() -> None:
    # The last of 22 characters holds two bits of the salt, and four that nobody looks at: s means what e means.
    stored = "$2a$07$usesomesillystringfore2uDLvp1Ii2e./U9C8sBjqp8I90dH6hi"
    assert passwords.verify("rasmuslerdorf", stored)
    assert passwords.verify("rasmuslerdorf", stored.replace("fore2", "fors2"))


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
def test_keycloaks_pbkdf2_of_any_digest_and_length_is_checked(digest: str) -> None:
    salt = bytes(range(16))
    value = hashlib.pbkdf2_hmac(digest, "päss".encode(), salt, 100, 64)
    name = "pbkdf2" if digest == "sha1" else f"pbkdf2-{digest}"
    stored = f"${name}$100${base64.b64encode(salt).decode()}${base64.b64encode(value).decode()}"
    assert passwords.verify("päss", stored) and not passwords.verify("pass", stored)


def test_keycloaks_argon2_is_checked() -> None:
    stored = hash_secret(
        b"right", b"0123456789abcdef", time_cost=5, memory_cost=7168, parallelism=1, hash_len=32, type=Type.ID
    )
    assert passwords.verify("right", stored.decode()) and not passwords.verify("wrong", stored.decode())


DJANGOS = [
    hashers.PBKDF2PasswordHasher(), hashers.PBKDF2SHA1PasswordHasher(), hashers.Argon2PasswordHasher(),
    hashers.BCryptSHA256PasswordHasher(), hashers.BCryptPasswordHasher(), hashers.ScryptPasswordHasher(),
    hashers.MD5PasswordHasher(),
]  # fmt: skip


@pytest.mark.parametrize("hasher", DJANGOS, ids=lambda hasher: hasher.algorithm)
def test_each_of_djangos_formats_is_checked_whatever_the_consoles_hashers_are(hasher: Any, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    stored = hasher.encode("right", hasher.salt())
    assert passwords.verify("right", stored) and not passwords.verify("wrong", stored)
    decoy = hashes.decoy(stored)
    assert hashes.kind(decoy) == hashes.kind(stored) and not hashes.matches("right", decoy)


def test_firebase_needs_the_projects_key(settings: Any) -> None:
    settings.FIREBASE_SIGNER_KEY = ""
    assert not passwords.verify("user1password", FIREBASE)


@pytest.mark.parametrize(
    "stored",
    [
        "$pbkdf2-sha256$100$c2FsdA$", "$pbkdf2-sha256$99999999$c2FsdA$aGFzaA", "$pbkdf2-md5$1$c2FsdA$aGFzaA",
        "$pbkdf2-sha256$1$%%$aGFzaA", "$firebase-scrypt$r=8,m=99$c2FsdA$aGFzaA", "$firebase-scrypt$r=8,m=14$c2FsdA$!",
        "pbkdf2_sha256$many$salt$hash", "md5$", "bcrypt$x",
        "scrypt$x", "argon2$", "pbkdf2_sha256", "$", "$$$$",
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_hash_fails_and_says_nothing(stored: str) -> None:
    assert passwords.verify("x", stored) is False


def test_a_decoy_is_of_the_same_kind_and_cost_and_nobodys() -> None:
    for password, stored in (PUBLISHED["Firebase"], PUBLISHED["passlib"], ("x", hashers.make_password("x"))):
        decoy = hashes.decoy(stored)
        assert hashes.kind(decoy) == hashes.kind(stored) != ""
        assert decoy != stored and not hashes.matches(password, decoy)


def test_who_does_not_exist_costs_what_a_wrong_password_costs_where_another_kind_is_stored(monkeypatch: Any) -> None:
    _, stored = PUBLISHED["passlib"]
    passwords.verify("wrong", stored)
    asked: list[str] = []
    kept = hashes.matches
    monkeypatch.setattr(
        hashes, "matches", lambda password, stored: asked.append(hashes.kind(stored)) or kept(password, stored)
    )
    for other in (None, stored, passwords.hashed("x"), passwords.hashed("x", final=True), "no hash"):
        asked.clear()
        passwords.verify("wrong", other)
        assert asked.count(hashes.kind(stored)) == 1, other


@pytest.mark.parametrize(
    "stored",
    [
        "scrypt$16384$salt$8$1000$" + "a" * 40, "$pbkdf2$9999999$c2FsdA$" + "a" * 43,
        "pbkdf2_sha256$40000000$salt$" + "a" * 43 + "=",
        "$2b$31$" + "a" * 53, "bcrypt$$2b$18$" + "a" * 53, "$argon2id$v=19$m=1500000,t=2,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=20000,p=1$c2FsdHNhbHQ$" + "a" * 43, "$firebase-scrypt$r=99,m=16$c2FsdA$" + "a" * 43,
        "pbkdf2_sha256$99999999999999999999$salt$hash", "$argon2é$v=19", "$argon2id$v=19$m=65536,t=4,p=1$%%%$%%%",
    ],
)  # fmt: skip
def test_a_hash_cannot_say_how_long_a_login_takes_or_break_it(stored: str) -> None:
    assert hashes.kind(stored) == "" and not passwords.verify("x", stored)


def test_a_truncated_hash_matches_no_password() -> None:
    assert not any(hashes.matches(str(guess), "$pbkdf2-sha256$1$c2FsdA$QQ") for guess in range(600))


def test_users_of_one_kind_and_cost_share_one_decoy() -> None:
    for _ in range(3):
        passwords.verify("wrong", hashers.make_password("right", hasher="pbkdf2_sha256"))
    assert len(passwords._met) == 1


def test_a_cost_that_is_not_ours_is_a_kind_of_its_own() -> None:
    ten = bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()
    assert hashes.kind(ten) != hashes.kind(passwords.hashed("x"))
    passwords.verify("right", ten)
    assert list(passwords._met) == [hashes.kind(ten)], "a success teaches, too"


def test_djangos_bcrypt_of_a_long_password_is_checked_as_django_did() -> None:
    stored = "bcrypt$" + bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert passwords.verify("x" * 100, stored)


def test_what_is_made_anew_when_final() -> None:
    ours = passwords.hashed("x", final=True)
    weak = re.sub(r"m=\d+", "m=8", ours)
    assert [passwords.outdated(each) for each in (ours, weak, passwords.hashed("x"))] == [False, True, True]
    assert passwords.renewable("x" * 72, passwords.hashed("x")) and not passwords.renewable(
        "x" * 73, passwords.hashed("x")
    )


def test_what_was_met_is_remembered_within_limits() -> None:
    for rounds in range(100, 110):
        passwords.verify("wrong", f"$pbkdf2-sha256${rounds}$c2FsdA${'a' * 43}")
    assert len(passwords._met) == passwords._MOST_MET
