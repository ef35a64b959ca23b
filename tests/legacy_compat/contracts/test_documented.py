"""The documented profile, byte for byte."""

from __future__ import annotations

import json

import pytest

from tests.legacy_compat.calls import tokens
from tests.legacy_compat.conftest import PASSWORD, Old, make_tenant, make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def test_a_login_answers_with_tokens_and_the_user(old: Old) -> None:
    answer = old.login()
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["access_token", "refresh_token", "token_type", "user"]
    assert body["user"] == {
        "id": str(old.user.pk), "email": old.user.email, "username": old.user.username, "full_name": "O'Brien",
        "is_superuser": True,
    }  # fmt: skip


def test_a_login_may_come_as_json_and_by_email(old: Old) -> None:
    data = json.dumps({"username": old.user.email, "password": PASSWORD, "tenant_id": str(old.tenant.pk)})
    assert old.client.post("/api/auth/login", data, content_type="application/json").status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"username": "nobody"}, {"username": "NOBODY"}, {"tenant_id": "not-an-id"}]
)
def test_every_failed_login_answers_alike(old: Old, wrong: dict[str, str]) -> None:
    answer = old.login(**wrong)
    assert (answer.status_code, answer.content) == (401, b'{"detail":"Incorrect username or password"}')
    assert answer["WWW-Authenticate"] == "Bearer"


def test_users_are_those_of_the_callers_tenant_in_pages(old: Old) -> None:
    make_user(make_tenant())
    for _ in range(3):
        make_user(old.tenant)
    body = old.get("/api/users", tokens(old)["access_token"], page=2, size=3).json()
    assert (body["total"], body["page"], body["size"], len(body["users"])) == (4, 2, 3, 1)
    assert list(body["users"][0]) == [
        "id", "email", "username", "full_name", "is_active", "is_superuser", "created_at"
    ]  # fmt: skip


def test_tenants_come_in_pages_and_only_ones_own(old: Old) -> None:
    make_tenant()
    body = old.get("/api/tenants", tokens(old)["access_token"]).json()
    assert [item["id"] for item in body["items"]] == [str(old.tenant.pk)]
    assert (body["total"], body["page"], body["size"], body["pages"]) == (1, 1, 10, 1)


@pytest.mark.parametrize(
    ("query", "type_"),
    [({"size": "a"}, "int_parsing"), ({"size": "500"}, "less_than_equal"), ({"page": "0"}, "greater_than_equal")],
)
def test_a_bad_number_is_a_422_that_names_it(old: Old, query: dict[str, str], type_: str) -> None:
    answer = old.get("/api/tenants", tokens(old)["access_token"], **query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == type_
