"""Whatever the legacy system stored is verified; whatever it is not fails, and says nothing."""

from typing import Any

import bcrypt
import pytest
from django.contrib.auth.hashers import make_password

from iam import passwords


@pytest.mark.parametrize("kind", ["bcrypt", "argon2", "pbkdf2_sha256", "scrypt"])
def test_each_kind_of_hash_is_verified(kind: str) -> None:
    stored = (
        bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode() if kind == "bcrypt" else make_password("right", hasher=kind)
    )
    assert passwords.verify("right", stored)
    assert not passwords.verify("wrong", stored)


def test_an_argon2_hash_without_djangos_prefix_is_verified() -> None:
    stored = make_password("right", hasher="argon2").removeprefix("argon2")
    assert stored.startswith("$argon2id$") and passwords.verify("right", stored)


@pytest.mark.parametrize(
    ("cost", "found"), [(4, ["iam.E002"]), (9, ["iam.E002"]), (10, []), (15, []), (16, ["iam.E002"])]
)
def test_a_cost_that_is_none_is_no_deployment(settings: Any, cost: int, found: list[str]) -> None:
    settings.BCRYPT_COST = cost
    assert [each.id for each in passwords.costly_enough()] == found


@pytest.mark.parametrize("stored", [None, "", "plain", "$2b$12$short", "{SHA}abc", "md5$x$y"])
def test_what_is_no_hash_never_matches(stored: str | None) -> None:
    assert not passwords.verify("plain", stored)


def test_a_new_hash_is_one_that_legacy_can_read(real_cost: None) -> None:
    stored = passwords.hashed("x" * 100)
    assert stored.startswith("$2b$12$") and len(stored) == 60 and passwords.verify("x" * 100, stored)
