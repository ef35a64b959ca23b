"""What does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.legacy_compat.served.conftest import Caller, kinds


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("missing", ["body", "email"]), ("missing", ["body", "username"]), ("missing", ["body", "password"])]),
        ({"email": "e", "username": "ab", "password": "long enough"}, [("string_too_short", ["body", "username"])]),
        (
            {"email": "e", "username": "a b c", "password": "long enough"},
            [("string_pattern_mismatch", ["body", "username"])],
        ),
        ({"email": "e", "username": "abc", "password": "1234567"}, [("string_too_short", ["body", "password"])]),
        (
            {"email": "e", "username": "abc", "password": "12345678", "full_name": "'" * 21},
            [("string_too_long", ["body", "full_name"])],
        ),
        ([1], [("model_attributes_type", ["body"])]),
    ],
)
def test_what_does_not_fit_is_told_as_the_service_tells_it(boss: Caller, body: Any, expected: Any) -> None:
    """Lengths count after escaping: 21 apostrophes are 126 characters."""
    found = kinds(boss("POST", "/api/auth/users", body))
    assert found == expected or (body == [1] and [each[1] for each in found] == [["body"]])


def test_broken_json_is_told_before_anybody_asks_who_sends_it(boss: Caller) -> None:
    answer = boss.client.generic("PUT", f"/api/auth/users/{boss.user.pk}", b"{", content_type="application/json")
    [entry] = answer.json()["detail"]
    assert (answer.status_code, list(entry)) == (422, ["type", "loc", "msg", "input", "ctx"])
    assert (entry["type"], entry["loc"][0], entry["msg"]) == ("json_invalid", "body", "JSON decode error")


def test_bytes_that_are_no_text_are_broken_from_the_beginning(boss: Caller) -> None:
    answer = boss.client.generic("PUT", f"/api/auth/users/{boss.user.pk}", b'{"a":"\xff"}', "application/json")
    [entry] = answer.json()["detail"]
    assert (answer.status_code, entry["loc"], entry["ctx"]) == (422, ["body", 0], {"error": "Expecting value"})
