"""Both profiles, call by call, byte for byte: what old clients send and what they have always got back."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from iam.models import Session, User
from tests.legacy_compat.conftest import PASSWORD, QUICK_HASH, Old, make_licence, make_tenant, make_user
from tests.stack import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def tokens(old: Old) -> dict[str, Any]:
    return old.login().json()


@pytest.fixture
def observed(old: Old, settings: Any) -> Old:
    settings.LEGACY_CONTRACT = "observed"
    return old


def credentials(user: str, password: str = PASSWORD) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


# --- documented ---------------------------------------------------------------------------


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


def test_an_inactive_user_cannot_log_in_but_one_of_an_inactive_tenant_can(old: Old) -> None:
    User.objects.filter(pk=old.user.pk).update(is_active=False)
    assert old.login().status_code == 401
    other = make_user(make_tenant(is_active=False))
    assert old.login(username=other.username).status_code == 200


def test_one_name_in_two_tenants_signs_in_the_one_whose_password_it_is(old: Old) -> None:
    twin = make_user(make_tenant(), username=old.user.username, hashed_password=QUICK_HASH[:-4] + "....")
    body = old.login().json()
    assert body["user"]["id"] == str(old.user.pk) != str(twin.pk)


def test_one_name_and_password_in_two_tenants_must_name_its_tenant(old: Old) -> None:
    twin = make_user(make_tenant(), username=old.user.username)
    assert old.login().status_code == 401
    assert old.login(tenant_id=str(twin.tenant_id)).json()["user"]["id"] == str(twin.pk)


def test_a_password_that_was_escaped_before_it_was_hashed_still_signs_in(old: Old) -> None:
    import bcrypt

    stored = bcrypt.hashpw(b"a&amp;b", bcrypt.gensalt(4)).decode()
    User.objects.filter(pk=old.user.pk).update(hashed_password=stored)
    assert old.login(password="a&b").status_code == 200


@pytest.mark.parametrize("password", ["x" * 100, "é" * 60, "nul\0byte"])
def test_an_odd_password_is_an_ordinary_failure(old: Old, password: str) -> None:
    assert old.login(password=password).status_code == 401


def test_me_is_keyed_by_the_user_and_not_by_the_name(old: Old) -> None:
    twin = make_user(make_tenant(), username=old.user.username, full_name="The other bob")
    token = old.login(tenant_id=str(twin.tenant_id)).json()["access_token"]
    body = old.get("/api/auth/me", token).json()
    assert body["full_name"] == "The other bob" and body["tenant_id"] == str(twin.tenant_id)


def test_users_are_those_of_the_callers_tenant_in_pages(old: Old) -> None:
    make_user(make_tenant())
    for _ in range(3):
        make_user(old.tenant)
    body = old.get("/api/users", tokens(old)["access_token"], page=2, size=3).json()
    assert (body["total"], body["page"], body["size"], len(body["users"])) == (4, 2, 3, 1)
    assert list(body["users"][0]) == [
        "id", "email", "username", "full_name", "is_active", "is_superuser", "created_at"
    ]  # fmt: skip


def test_a_refresh_rotates_and_a_second_use_ends_the_family(old: Old) -> None:
    first = tokens(old)
    second = old.post("/api/auth/refresh", refresh_token=first["refresh_token"])
    assert list(second.json()) == ["access_token", "refresh_token", "token_type"]
    again = old.post("/api/auth/refresh", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()) == (401, {"detail": "Invalid refresh token"})
    stolen = old.post("/api/auth/refresh", refresh_token=second.json()["refresh_token"])
    assert stolen.status_code == 401
    assert old.get("/api/auth/me", second.json()["access_token"]).status_code == 401


def test_a_logout_ends_the_session(old: Old) -> None:
    token = tokens(old)["access_token"]
    answer = old.post("/api/auth/logout", token)
    assert answer.content == b'{"message":"Successfully logged out"}'
    assert old.get("/api/auth/me", token).json() == {"detail": "Could not validate credentials"}


def test_a_changed_password_is_the_only_one_that_signs_in_and_ends_all_sessions(old: Old) -> None:
    token = tokens(old)["access_token"]
    wrong = old.post("/api/auth/change-password", token, current_password="no", new_password="new one")
    assert (wrong.status_code, wrong.json()) == (400, {"detail": "Current password is incorrect"})
    right = old.post("/api/auth/change-password", token, current_password=PASSWORD, new_password="new one")
    assert right.json() == {"message": "Password changed successfully"}
    assert old.login().status_code == 401
    assert old.login(password="new one").status_code == 200
    assert old.get("/api/auth/me", token).status_code == 401


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


# --- observed -----------------------------------------------------------------------------


def test_observed_login_is_a_form_of_two_fields(observed: Old) -> None:
    form = {"credentials": credentials(str(observed.user.username)), "tenant_id": str(observed.tenant.pk)}
    body = observed.client.post("/api/auth/login", form).json()
    assert list(body) == ["access_token", "refresh_token", "token_type", "expires_in", "scope", "id_token"]
    assert body["expires_in"] is body["scope"] is body["id_token"] is None


def test_observed_login_names_each_missing_field(observed: Old) -> None:
    answer = observed.client.post("/api/auth/login", {})
    assert answer.status_code == 422
    assert answer.content == (
        b'{"detail":[{"type":"missing","loc":["body","credentials"],"msg":"Field required","input":null},'
        b'{"type":"missing","loc":["body","tenant_id"],"msg":"Field required","input":null}]}'
    )
    assert observed.client.post("/api/auth/login", {"x": 1}, content_type="application/json").status_code == 422


@pytest.mark.parametrize("text", ["not base64!", base64.b64encode("ann:pässword".encode()).decode()])
def test_observed_login_refuses_a_malformed_credential(observed: Old, text: str) -> None:
    answer = observed.client.post("/api/auth/login", {"credentials": text, "tenant_id": str(observed.tenant.pk)})
    assert (answer.status_code, answer.content) == (400, b'{"detail":"Invalid credentials format"}')


def observed_token(old: Old) -> str:
    form = {"credentials": credentials(str(old.user.username)), "tenant_id": str(old.tenant.pk)}
    return str(old.client.post("/api/auth/login", form).json()["access_token"])


def test_observed_me_has_its_keys_in_order(observed: Old) -> None:
    body = observed.get("/api/auth/me", observed_token(observed)).json()
    assert list(body) == [
        "tenant_id", "email", "username", "full_name", "is_active", "is_superuser", "is_verified", "oauth_provider",
        "oauth_id", "sso_provider", "sso_id", "avatar_url", "bio", "phone_number", "id", "created_at", "updated_at",
        "last_login",
    ]  # fmt: skip
    assert body["created_at"].endswith("Z")


def test_observed_errors_of_me(observed: Old) -> None:
    assert observed.get("/api/auth/me").json() == {"detail": "Not authenticated"}
    assert observed.get("/api/auth/me", "nonsense").json() == {"detail": "Could not validate credentials"}
    token = observed_token(observed)
    User.objects.filter(pk=observed.user.pk).update(is_active=False)
    answer = observed.get("/api/auth/me", token)
    assert (answer.status_code, answer.json()) == (400, {"detail": "Inactive user"})


def test_observed_users_is_a_bare_list_for_superusers(observed: Old) -> None:
    token = observed_token(observed)
    assert isinstance(observed.get("/api/auth/users", token, skip=0, limit=1).json(), list)
    answer = observed.get("/api/auth/users", token, skip="a")
    assert answer.json()["detail"][0] == {
        "type": "int_parsing", "loc": ["query", "skip"],
        "msg": "Input should be a valid integer, unable to parse string as an integer", "input": "a",
    }  # fmt: skip
    User.objects.filter(pk=observed.user.pk).update(is_superuser=False)
    answer = observed.get("/api/auth/users", token)
    assert (answer.status_code, answer.json()) == (403, {"detail": "Not enough permissions"})


def test_observed_has_no_users_beside_auth(observed: Old) -> None:
    answer = observed.get("/api/users", observed_token(observed))
    assert (answer.status_code, answer.content) == (404, b'{"detail":"Not Found"}')


def test_observed_licences_are_judged_by_their_own_dates(observed: Old) -> None:
    issued = datetime(2020, 1, 1, tzinfo=UTC)
    expired = make_licence(observed.tenant, issued_at=issued, validity_days=30)
    answer = observed.get(f"/api/licenses/validate/{expired.license_key}")
    assert answer.json() == {"valid": False, "error": "License has expired", "details": "Expired on 2020-01-31"}
    valid = make_licence(
        observed.tenant, license_key="a/b c", issued_at=timezone.now(), validity_days=30, payload={"n": 1}
    )
    body = observed.get("/api/licenses/validate/a/b c").json()
    assert body["message"] == "License is valid and active" and body["license"]["id"] == str(valid.pk)
    assert list(body["license"]) == (
        [
            "id",
            "license_key",
            "tenant_id",
            "template_id",
            "linked_subscription",
            "issued_at",
            "validity_days",
            "expires_at",
            "payload",
        ]
    )
    off = make_licence(make_tenant(is_active=False), issued_at=timezone.now() - timedelta(days=1), validity_days=30)
    assert observed.get(f"/api/licenses/validate/{off.license_key}").json()["error"] == "License is inactive"
    unknown = observed.get("/api/licenses/validate/none")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "License not found"})


def test_the_sixth_call_in_a_minute_is_told_to_wait(old: Old, settings: Any) -> None:
    settings.LEGACY_CALLS_A_MINUTE = 5
    answers = [old.get("/api/auth/me") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[-1]["Retry-After"] == "60"
    assert answers[-1].content == (
        b'{"error":"Too Many Requests","message":"Rate limit exceeded. Please try again later.","retry_after":60}'
    )


def test_sessions_are_kept_where_the_iam_keeps_them(old: Old) -> None:
    tokens(old)
    session = Session.objects.get()
    assert session.user == old.user and session.is_active


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 100_000, "\u202e'; --", ""])
def test_odd_text_is_answered_in_the_contracts_words(old: Old, odd: str) -> None:
    token = tokens(old)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def post(path: str, **fields: str) -> int:
        return old.client.post(f"/api/{path}", json.dumps(fields), "application/json", headers=headers).status_code

    assert post("auth/login", username=odd, password=odd) in (401, 422)
    assert post("auth/login", username=old.user.username or "", password=odd, tenant_id=odd) in (401, 422)
    assert post("auth/refresh", refresh_token=odd) in (401, 422)
    assert post("licenses/validate", license_key=odd) in (200, 422)
    assert post("tenants", name=odd, slug=odd) in (201, 400, 422)
    assert post("auth/change-password", current_password=odd, new_password="x") in (400, 422)
    assert post("auth/change-password", current_password=PASSWORD, new_password=odd) in (200, 422)
