"""A password alone, where more is due: what it is good for at the new API, and how a token becomes stronger."""

from __future__ import annotations

import base64
import os
from typing import Any

import pyotp
import pytest
from django.test import Client

from iam import bearers, throttles
from iam.models import TenantSettings, User
from tests.iam.conftest import Api
from tests.iam.enrolling import with_codes
from tests.iam.oauth.conftest import switch_on
from tests.legacy_compat.conftest import PASSWORD, make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture(autouse=True)
def key(world: World, settings: Any) -> None:
    settings.MFA_SECRET_KEY = base64.b64encode(os.urandom(32)).decode()


def claims(token: str) -> Any:
    return bearers.decode(token, kind="access")


def test_a_token_of_the_old_door_is_too_weak_for_a_user_who_enrolled(api: Api, settings: Any) -> None:
    user, _ = with_codes(settings, api.tenant)
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()["access_token"]
    answer = api.call("GET", "/me", old)
    assert answer.status_code == 401 and answer.json()["type"].endswith("step-up-needed")
    assert 'error="insufficient_user_authentication"' in answer["WWW-Authenticate"]
    assert 'acr_values="aal2"' in answer["WWW-Authenticate"]
    headers = {"Authorization": f"Bearer {old}"}
    assert api.client.get("/api/auth/me", headers=headers).status_code == 200


def test_tokens_say_how_and_when_they_were_won(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    plain, strong = claims(api.token), claims(api.login(user, code=code.now()).json()["access_token"])
    assert (plain["amr"], plain["acr"]) == (["pwd"], "aal1") and abs(plain["auth_time"] - plain["iat"]) <= 1
    assert (strong["amr"], strong["acr"]) == (["pwd", "otp"], "aal2")


def test_a_refreshed_token_is_as_strong_and_as_old_as_its_sign_in(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    first = api.login(user, code=code.now()).json()
    second = api.call("POST", "/auth/refresh", "", refresh_token=first["refresh_token"]).json()
    assert api.call("GET", "/me", second["access_token"]).status_code == 200
    assert claims(second["access_token"])["auth_time"] == claims(first["access_token"])["auth_time"]


def test_where_the_tenant_wants_a_second_factor_a_password_is_good_for_enrolling_alone(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user = make_user(api.tenant, is_superuser=True)
    weak = api.login(user).json()["access_token"]
    answer = api.call("GET", "/users", weak)
    assert answer.status_code == 401 and answer.json()["type"].endswith("enrolment-needed")
    begun = api.call("POST", "/me/mfa", weak, current_password=PASSWORD).json()
    assert begun["address"].startswith("otpauth://totp/") and begun["secret"] in begun["address"]
    assert api.call("POST", "/me/mfa/confirm", weak, code="000000").status_code == 400
    assert not User.objects.get(pk=user.pk).mfa_enabled
    pair = api.call("POST", "/me/mfa/confirm", weak, code=pyotp.TOTP(begun["secret"]).now())
    assert pair.status_code == 200, pair.content
    assert api.call("GET", "/users", pair.json()["access_token"]).status_code == 200
    assert api.call("GET", "/users", weak).status_code == 401
    assert api.login(user).json()["type"].endswith("code-needed")


def test_nobody_who_holds_a_password_alone_enrols_a_second_time(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    strong = api.login(user, code=code.now()).json()["access_token"]
    assert api.call("POST", "/me/mfa", strong, current_password=PASSWORD).status_code == 409
    old = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD}).json()["access_token"]
    assert api.call("POST", "/me/mfa", old, current_password=PASSWORD).status_code == 409
    assert api.call("POST", "/me/mfa/confirm", old, code="000000").status_code == 400


def test_an_administrator_helps_a_user_who_lost_their_device(api: Api, settings: Any) -> None:
    user, _ = with_codes(settings, api.tenant)
    assert api.call("DELETE", f"/users/{user.pk}/mfa").status_code == 204
    assert api.login(user).status_code == 200


def test_a_browser_enrols_before_it_sees_anything(api: Api) -> None:
    switch_on("oauth2_enabled")
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user, browser = make_user(api.tenant), Client()
    browser.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD})
    assert browser.get("/oauth/welcome").headers["Location"] == "/oauth/second-factor"
    page = browser.get("/oauth/second-factor")
    assert b"<svg" in page.content
    secret = page.context["secret"]
    assert browser.post("/oauth/second-factor", {"code": "000000"}).status_code == 400
    secret = browser.get("/oauth/second-factor").context["secret"]
    assert (
        browser.post("/oauth/second-factor", {"code": pyotp.TOTP(secret).now()}).headers["Location"] == "/oauth/welcome"
    )
    assert browser.get("/oauth/welcome").status_code == 200


def test_codes_that_cannot_be_checked_are_a_page_and_a_problem(api: Api, settings: Any) -> None:
    settings.MFA_SECRET_KEY = ""
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user, browser = make_user(api.tenant), Client()
    browser.post("/oauth/sign-in", {"username": user.username, "password": PASSWORD})
    assert browser.get("/oauth/second-factor").status_code == 503
    assert (
        api.call("POST", "/me/mfa", api.login(user).json()["access_token"], current_password=PASSWORD).status_code
        == 503
    )


def test_a_redis_that_is_away_lets_no_code_count(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    settings.THROTTLES_WITHOUT_REDIS, settings.REDIS_URL = "allow", "redis://127.0.0.1:9/0"
    assert api.login(user, code=code.now()).status_code == 503


def test_guesses_at_a_code_count_like_wrong_passwords(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user = make_user(api.tenant)
    weak = api.login(user).json()["access_token"]
    secret = api.call("POST", "/me/mfa", weak, current_password=PASSWORD).json()["secret"]
    for _ in range(throttles.FAILURES):
        assert api.call("POST", "/me/mfa/confirm", weak, code="000000").status_code == 400
    assert api.call("POST", "/me/mfa/confirm", weak, code=pyotp.TOTP(secret).now()).status_code == 400
