"""Second factors as the capabilities say, at the new doors and the legacy one."""

from __future__ import annotations

from typing import Any

import pytest

from iam import capabilities
from iam.models import TenantSettings, UserCapability
from tests.iam.capable import LEVELS, off
from tests.iam.conftest import Api
from tests.iam.enrolling import with_codes
from tests.iam.oauth.conftest import oauth as oauth  # the fixture
from tests.legacy_compat.conftest import PASSWORD, make_user


@LEVELS
@pytest.mark.parametrize("key", ["mfa", "totp"])
def test_a_switched_off_factor_is_asked_of_nobody_who_chose_it(api: Api, settings: Any, key: str, level: str) -> None:
    user, _ = with_codes(settings, api.tenant)
    assert api.login(user).status_code == 401
    off(api.tenant, key, level)
    token = api.login(user).json()["access_token"]
    assert api.call("GET", "/me", token).status_code == 200


@LEVELS
def test_without_mfa_a_tenant_that_requires_it_lets_its_users_in(api: Api, level: str) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user = make_user(api.tenant)
    body = {"username": user.username, "password": PASSWORD}
    assert api.client.post("/api/auth/login", body).status_code == 403
    off(api.tenant, "mfa", level)
    answer = api.client.post("/api/auth/login", body)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert api.client.get("/api/auth/me", headers=headers).status_code == 200
    assert api.call("GET", "/me", api.login(user).json()["access_token"]).status_code == 200


@LEVELS
def test_without_codes_a_tenant_that_requires_mfa_lets_nobody_in_and_says_why(
    api: Api, settings: Any, level: str
) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user, code = with_codes(settings, api.tenant)
    off(api.tenant, "totp", level)
    token = api.login(user, code=code.now()).json()["access_token"]
    answer = api.call("GET", "/me", token)
    assert answer.status_code == 401 and "switched off" in answer.json()["detail"]
    assert api.call("POST", "/me/mfa", token, current_password=PASSWORD).status_code == 403
    body = {"username": user.username, "password": PASSWORD + code.now()}
    assert api.client.post("/api/auth/login", body).status_code in (401, 403)


@pytest.mark.parametrize("door", ["field", "appended"])
def test_a_user_of_a_legacy_client_enrols_and_signs_in_with_a_code(api: Api, settings: Any, door: str) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user, code = with_codes(settings, api.tenant)
    refused = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD})
    assert refused.status_code == 403 and "/oauth/second-factor" in refused.json()["detail"]
    body = {"username": user.username, "password": PASSWORD} | {"code": code.now()}
    if door == "appended":
        body = {"username": user.username, "password": PASSWORD + code.now()}
    answer = api.client.post("/api/auth/login", body)
    assert answer.status_code == 200, answer.content
    pair = answer.json()
    for token in (pair["access_token"], _refreshed(api, pair["refresh_token"])):
        assert api.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert api.client.post("/api/auth/login", body).status_code == 401  # each code counts once


def _refreshed(api: Api, token: str) -> str:
    return str(api.client.post("/api/auth/refresh", {"refresh_token": token}).json()["access_token"])


@pytest.mark.parametrize("wrong", ["000000", "12345", "abcdef"])
def test_a_wrong_code_after_the_password_is_a_wrong_password(api: Api, settings: Any, wrong: str) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user, _ = with_codes(settings, api.tenant)
    answer = api.client.post("/api/auth/login", {"username": user.username, "password": PASSWORD + wrong})
    assert answer.status_code == 401


def test_codes_that_cannot_be_checked_are_no_server_error_at_the_legacy_door(api: Api, settings: Any) -> None:
    TenantSettings.objects.create(tenant=api.tenant, mfa_required=True)
    user, code = with_codes(settings, api.tenant)
    settings.MFA_SECRET_KEY = ""
    body = {"username": user.username, "password": PASSWORD + code.now()}
    assert api.client.post("/api/auth/login", body).status_code == 503


def test_who_is_enrolled_is_written_down(api: Api, settings: Any) -> None:
    user, code = with_codes(settings, api.tenant)
    capabilities.note_enrolment(user)
    api.login(user, code=code.now())
    states = {each.capability_key: each for each in UserCapability.objects.filter(user_id=user.pk)}
    assert states["mfa"].enrolled and states["totp"].state_data == {"has_secret": True} and states["totp"].last_used_at
    assert api.call("DELETE", f"/users/{user.pk}/mfa").status_code == 204
    assert not UserCapability.objects.filter(user_id=user.pk, enrolled=True).exists()
