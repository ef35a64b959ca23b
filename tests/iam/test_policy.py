"""What a tenant asks of its users, at the new doors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from iam import policy
from iam.models import Tenant, TenantSettings, User
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import PASSWORD, make_user
from tests.world import World

STRICT = {"require_uppercase": True, "require_lowercase": True, "require_numbers": True, "require_special_chars": True}


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "8 characters"), ("short", "8 characters"), ("password1", "too common"), ("x" * 1025, "1024"), ("abc\0defgh", "NUL"),
        ("marie.curie!", "too similar"), ("curie@example.org", "too similar"), ("a phrase of many words", ""),
    ],
)  # fmt: skip
def test_a_weak_password_is_named_for_what_it_is(api: Api, password: str, why: str) -> None:
    user = make_user(api.tenant, username="marie.curie", email="curie@example.org")
    said = policy.of(api.tenant.pk).weakness(password, user)
    assert why in said and bool(why) == bool(said)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("long enough 1!", "upper-case"), ("LONG ENOUGH 1!", "lower-case"), ("Long Enough One!", "digit"),
        ("LongEnough1x", "special"), ("Long Enough 1!", ""),
    ],
)  # fmt: skip
def test_the_tenants_own_rules_are_obeyed_at_every_door(api: Api, password: str, why: str) -> None:
    TenantSettings.objects.create(tenant=api.tenant, min_password_length=10, **STRICT)
    user = make_user(api.tenant)
    mine = api.login(user).json()["access_token"]
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()["access_token"]
    body = {"current_password": PASSWORD, "new_password": password}
    answers = [
        (api.call("PATCH", f"/users/{make_user(api.tenant).pk}", password=password), 200, 422),
        (api.call("POST", "/users", username="n", email="n@example.org", password=password), 201, 422),
        (api.client.post("/api/auth/change-password", body, headers={"Authorization": f"Bearer {old}"}), 200, 400),
    ]
    if why:
        answers.append((api.call("POST", "/me/password", mine, **body), 204, 422))
    for answer, good, weak in answers:
        assert answer.status_code == (weak if why else good), answer.content
        assert why in answer.json().get("detail", "") if why else True


def test_guesses_at_the_current_password_are_bounded_and_spare_the_session(api: Api) -> None:
    user = make_user(api.tenant)
    mine = api.login(user).json()["access_token"]
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()["access_token"]
    headers = {"Authorization": f"Bearer {old}"}
    for turn in range(10):
        body = {"current_password": "no", "new_password": "a longer password"}
        if turn % 2:
            assert api.call("POST", "/me/password", mine, **body).status_code == 400
        else:
            assert api.client.post("/api/auth/change-password", body, headers=headers).status_code == 400
    right = {"current_password": PASSWORD, "new_password": "a longer password"}
    assert api.call("POST", "/me/password", mine, **right).status_code == 429
    assert api.client.post("/api/auth/change-password", right, headers=headers).status_code == 429
    assert api.call("GET", "/me", mine).status_code == 200
    assert api.login(user).status_code == 200


DUE: dict[str, dict[str, Any]] = {
    "for one use": {"require_password_change": True},
    "expired": {"password_expires_at": timezone.now() - timedelta(seconds=1)},
}


@pytest.mark.parametrize("kind", DUE)
def test_a_password_that_is_due_is_changed_on_the_way_in(api: Api, kind: str) -> None:
    user = make_user(api.tenant, **DUE[kind])
    assert api.login(user).json()["type"].endswith("password-due")
    assert api.login(user, new_password="short").json()["type"].endswith("weak-password")
    assert api.login(user, new_password=PASSWORD).json()["type"].endswith("weak-password")
    assert api.login(user, new_password="a longer password").status_code == 200
    assert api.login(user, password="a longer password").status_code == 200
    assert api.login(user).status_code == 401


@pytest.mark.parametrize("kind", DUE)
def test_a_browser_asks_for_a_new_password(api: Api, kind: str) -> None:
    user, browser = make_user(api.tenant, **DUE[kind]), Client()
    form = {"username": user.username, "password": PASSWORD}
    page = browser.post("/oauth/sign-in", form)
    assert page.status_code == 403 and b'name="new_password"' in page.content
    assert browser.post("/oauth/sign-in", form | {"new_password": "a longer password"}).status_code == 302


def test_a_new_password_expires_when_the_tenant_says(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, password_expiry_days=30)
    user = make_user(api.tenant)
    api.call("PATCH", f"/users/{user.pk}", password="a longer password")
    ends = User.objects.get(pk=user.pk).password_expires_at
    assert ends is not None and timedelta(days=29) < ends - timezone.now() <= timedelta(days=30)


def test_a_new_password_of_ones_own_is_stored_when_none_is_due(api: Api) -> None:
    assert api.login(new_password="never asked for").status_code == 200
    assert api.login(password="never asked for").status_code == 401


def test_a_tenant_that_is_off_is_off_at_every_new_door(api: Api) -> None:
    Tenant.objects.filter(pk=api.tenant.pk).update(is_active=False)
    assert api.login().json()["type"].endswith("tenant-off")
    assert api.call("GET", "/me").json()["type"].endswith("tenant-off")
    form = {"username": api.admin.username, "password": PASSWORD}
    assert Client().post("/oauth/sign-in", form).status_code == 403


def test_calls_are_bounded_as_the_tenant_says(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, rate_limit_requests=3, rate_limit_window_seconds=60)
    assert [api.call("GET", "/me").status_code for _ in range(4)] == [200, 200, 200, 429]
    other = make_user(api.tenant)
    assert api.call("GET", "/me", api.login(other).json()["access_token"]).status_code == 200
