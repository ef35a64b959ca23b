"""Errors as problem details."""

from __future__ import annotations

from tests.iam.conftest import Api


def test_a_taken_name_is_a_conflict(api: Api) -> None:
    answer = api.call(
        "POST", "/users", username=api.admin.username, email="x@example.org", password="a longer password"
    )
    assert answer.status_code == 409


def test_a_value_no_text_has_is_a_problem_and_no_fault_of_ours(api: Api) -> None:
    answer = api.call("POST", "/users", username="a\0b", email="x@example.org", password="a longer password")
    assert answer.status_code == 422
