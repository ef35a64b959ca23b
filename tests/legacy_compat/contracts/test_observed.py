"""The observed profile, byte for byte."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from iam.models import User
from tests.legacy_compat.conftest import PASSWORD, Old, make_licence, make_tenant
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture
def observed(old: Old, settings: Any) -> Old:
    settings.LEGACY_CONTRACT = "observed"
    return old


def credentials(user: str, password: str = PASSWORD) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def observed_token(old: Old) -> str:
    form = {"credentials": credentials(str(old.user.username)), "tenant_id": str(old.tenant.pk)}
    return str(old.client.post("/api/auth/login", form).json()["access_token"])


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
