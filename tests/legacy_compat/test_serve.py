"""What the legacy endpoints do, in either profile."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from iam.models import Session, Tenant, TenantSettings, User
from tests.legacy_compat.calls import tokens
from tests.legacy_compat.conftest import PASSWORD, QUICK_HASH, Old, make_licence, make_tenant, make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def test_an_inactive_user_cannot_log_in(old: Old) -> None:
    User.objects.filter(pk=old.user.pk).update(is_active=False)
    assert old.login().status_code == 401


POLICIES: dict[str, Any] = {
    "inactive tenant": ({"is_active": False}, {}, {}, "The tenant is inactive"),
    "second factor": (
        {},
        {"mfa_required": True},
        {},
        "The tenant requires multi-factor authentication: enrol at http://localhost:8000/oauth/second-factor,"
        " then add the code to the end of the password",
    ),
    "one-use password": ({}, {}, {"require_password_change": True}, "The password must be changed"),
    "expired password": ({}, {}, {"password_expires_at": timezone.now()}, "The password must be changed"),
}


@pytest.mark.parametrize("kind", POLICIES)
def test_what_the_policy_forbids_is_refused_by_the_old_door_as_set(old: Old, settings: Any, kind: str) -> None:
    about_tenant, about_settings, about_user, why = POLICIES[kind]
    tenant = make_tenant()
    user = make_user(tenant)
    before = old.login(username=user.username).json()
    Tenant.objects.filter(pk=tenant.pk).update(**({"is_active": True} | about_tenant))
    TenantSettings.objects.create(tenant=tenant, **about_settings)
    User.objects.filter(pk=user.pk).update(**({"bio": ""} | about_user))

    def answers() -> list[Any]:
        login = old.login(username=user.username)
        User.objects.filter(pk=user.pk).update(refresh_token=before["refresh_token"])
        again = old.post("/api/auth/refresh", refresh_token=before["refresh_token"])
        return [login.status_code, login.json().get("detail"), again.status_code]

    assert answers() == [403, why, 401]
    settings.LEGACY_POLICY = "documented"
    assert answers() == [401, "Incorrect username or password", 401]
    settings.LEGACY_POLICY = "contract"
    assert answers() == [200, None, 200]


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


def test_a_refresh_rotates_and_the_last_alone_is_good(old: Old) -> None:
    first = tokens(old)
    second = old.post("/api/auth/refresh", refresh_token=first["refresh_token"])
    assert list(second.json()) == ["access_token", "refresh_token", "token_type"]
    again = old.post("/api/auth/refresh", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()) == (401, {"detail": "Invalid refresh token"})
    third = old.post("/api/auth/refresh", refresh_token=second.json()["refresh_token"])
    assert third.status_code == 200
    later = old.login().json()
    assert old.post("/api/auth/refresh", refresh_token=third.json()["refresh_token"]).status_code == 401
    old.post("/api/auth/logout", later["access_token"])
    assert old.post("/api/auth/refresh", refresh_token=later["refresh_token"]).status_code == 401


def test_login_refresh_and_logout_move_what_they_moved_in_legacy(old: Old) -> None:
    def row() -> Any:
        return User.objects.values_list("refresh_token", "updated_at", "last_login").get(pk=old.user.pk)

    pair = old.login().json()
    first = row()
    assert first[0] == pair["refresh_token"] and first[1] is not None and first[2] is not None
    again = old.post("/api/auth/refresh", refresh_token=pair["refresh_token"]).json()
    second = row()
    assert second[0] == again["refresh_token"] and second[1] > first[1] and second[2] == first[2]
    old.post("/api/auth/logout", again["access_token"])
    third = row()
    assert third[0] is None and third[1] > second[1]


def test_a_disabled_user_is_told_so_at_a_refresh(old: Old) -> None:
    pair = old.login().json()
    User.objects.filter(pk=old.user.pk).update(is_active=False)
    answer = old.post("/api/auth/refresh", refresh_token=pair["refresh_token"])
    assert (answer.status_code, answer.json()) == (400, {"detail": "Inactive user"})


def test_a_logout_ends_the_session(old: Old) -> None:
    token = tokens(old)["access_token"]
    answer = old.post("/api/auth/logout", token)
    assert answer.content == b'{"message":"Successfully logged out"}'
    assert old.get("/api/auth/me", token).json() == {"detail": "Could not validate credentials"}


def test_a_changed_password_is_the_only_one_that_signs_in_and_ends_all_other_sessions(old: Old) -> None:
    before, token = tokens(old)["access_token"], tokens(old)["access_token"]
    wrong = old.post("/api/auth/change-password", token, current_password="no", new_password="new phrase one")
    assert (wrong.status_code, wrong.json()) == (400, {"detail": "Current password is incorrect"})
    right = old.post("/api/auth/change-password", token, current_password=PASSWORD, new_password="new phrase one")
    assert right.json() == {"message": "Password changed successfully"}
    assert old.login().status_code == 401
    assert old.login(password="new phrase one").status_code == 200
    assert old.get("/api/auth/me", before).status_code == 401
    assert old.get("/api/auth/me", token).status_code == 200


def test_the_sixth_call_in_a_minute_is_told_to_wait(old: Old, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE = 5
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


def test_tenants_are_made_with_a_slug_of_their_own(old: Old) -> None:
    token = old.login().json()["access_token"]
    made = old.post("/api/tenants", token, name="New", slug="new")
    assert made.status_code == 200 and made.json()["slug"] == "new"
    again = old.post("/api/tenants", token, name="New", slug="new")
    assert (again.status_code, again.json()) == (400, {"detail": "Tenant slug already exists"})
    assert old.get(f"/api/tenants/{made.json()['id']}", token).status_code == 404  # not the caller's own
    bad = old.get("/api/tenants/x", token)
    assert bad.status_code == 422 and bad.json()["detail"][0]["type"] == "uuid_parsing"


def test_licences_are_listed_in_pages(old: Old) -> None:

    make_licence(old.tenant)
    token = old.login().json()["access_token"]
    found = old.get("/api/licenses", token).json()
    assert (found["total"], found["page"], found["pages"]) == (1, 1, 1)
    assert old.get("/api/licenses", token, size="500").json()["detail"][0]["type"] == "less_than_equal"


def test_licences_of_other_tenants_are_not_listed(old: Old) -> None:
    make_licence(make_tenant())
    assert old.get("/api/licenses", old.login().json()["access_token"]).json()["total"] == 0
