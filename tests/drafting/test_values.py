"""What sampled values look like."""

from __future__ import annotations

import uuid

import pytest

from migration_portal.drafting import values
from tests.builders import HASH


@pytest.mark.parametrize(
    ("found", "look"),
    [
        ([str(uuid.uuid4()), str(uuid.uuid4()).upper()], "uuid"),
        ([HASH, "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "pbkdf2_sha256$600000$salt$hash="], "password hash"),
        (["ann@example.org", "ben@example.org"], "e-mail"),
        (["1600000000000", "1600000000001"], "milliseconds"),
        (["1600000000", "1700000000"], "seconds"),
        (["1", "-20"], "number"),
        (["2020-01-02 03:04:05+00", "2020-01-02T03:04:05Z"], "time"),
        (['{"a": 1}', "{}"], "JSON"),
        (["https://example.org/a.png"], "URL"),
        (["+49 30 123456"], "phone number"),
        (["Ann", "Ben"], "text"),
        ([None, ""], ""),
    ],
)
def test_values_look_like_what_they_are(found: list[str | None], look: str) -> None:
    assert values.look(found) == look


def test_ids_with_some_dirt_among_them_are_uuids_still() -> None:
    assert values.look([str(uuid.uuid4()), str(uuid.uuid4()), "tenant-1"]) == "uuid"


def test_one_address_that_is_none_in_twenty_changes_nothing() -> None:
    assert values.look([*["a@example.org"] * 19, "none"]) == "e-mail"
    assert values.look([*["a@example.org"] * 18, "none", "nobody"]) == "text"


def test_few_different_values_are_an_enumeration_and_many_are_none() -> None:
    assert values.words(["A", "B", "A", "B", "A", None]) == ["A", "B"]
    assert values.words([str(n) for n in range(20)]) == []


def test_words_for_yes_and_no_are_told_apart() -> None:
    assert values.yes(["Y", "N", "y"]) == (["Y", "y"], ["N"])
    assert values.yes(["Y", "perhaps"]) is None
    assert values.yes(["N"]) is None
