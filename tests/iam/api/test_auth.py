"""Signing in and out, and one's own password."""

from __future__ import annotations

from tests.iam.conftest import Api
from tests.legacy_compat.conftest import PASSWORD


def test_a_login_says_who_it_is_and_what_they_may(api: Api) -> None:
    answer = api.login().json()
    assert answer["user"]["id"] == str(api.admin.pk) and answer["expires_in"] == 900
    assert "users:write" in answer["permissions"]
    assert api.call("GET", "/me", answer["access_token"]).json()["username"] == api.admin.username


def test_logout_ends_the_session(api: Api) -> None:
    assert api.call("POST", "/auth/logout").status_code == 204
    assert api.call("GET", "/me").status_code == 401


def test_a_new_password_ends_every_session(api: Api) -> None:
    changed = api.call("POST", "/me/password", current_password=PASSWORD, new_password="a longer password")
    assert changed.status_code == 204
    assert api.call("GET", "/me").status_code == 401
    assert api.login(password="a longer password").status_code == 200


def test_a_password_shorter_than_the_tenant_wants_is_refused(api: Api) -> None:
    answer = api.call("POST", "/me/password", current_password=PASSWORD, new_password="short")
    assert answer.status_code == 422 and "8" in answer.json()["detail"]
