"""Tokens: what is good, for how long, and what ends it."""

from __future__ import annotations

import base64
import hmac

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from iam import keys
from iam.models import TenantSettings
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import PASSWORD
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def forged(api: Api, kind: str) -> str:
    claims = jwt.decode(api.token, keys.verifying(), ["ES256"]).claims
    if kind == "tampered":
        head, body, tail = api.token.split(".")
        return f"{head}.{body[:-2]}{'A' if body[-2] != 'A' else 'B'}{body[-1]}.{tail}"
    if kind == "alg none":
        part = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        return f"{part}.{api.token.split('.')[1]}."
    if kind == "expired":
        return jwt.encode({"alg": "ES256"}, claims | {"exp": 1}, keys.signing(), ["ES256"])
    if kind == "another key":
        return jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256"), ["ES256"])
    if kind == "another issuer":
        return jwt.encode({"alg": "ES256"}, claims | {"iss": "https://evil.example"}, keys.signing(), ["ES256"])
    # The classic confusion: the public key used as an HMAC secret.
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    said = head + b"." + api.token.split(".")[1].encode()
    mark = hmac.digest(keys.signing().as_pem(private=False), said, "sha256")
    return (said + b"." + base64.urlsafe_b64encode(mark).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "kind", ["tampered", "alg none", "expired", "another key", "another issuer", "public key as a secret"]
)
def test_a_forged_token_is_refused_by_both_doors(api: Api, kind: str) -> None:
    token = forged(api, kind)
    assert api.call("GET", "/me", token).status_code == 401
    assert api.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(api: Api) -> None:
    first = api.login().json()
    second = api.call("POST", "/auth/refresh", "", refresh_token=first["refresh_token"])
    assert second.status_code == 200
    assert api.call("GET", "/me", second.json()["access_token"]).status_code == 200
    assert api.call("POST", "/auth/refresh", "", refresh_token=first["refresh_token"]).status_code == 401
    assert api.call("GET", "/me", second.json()["access_token"]).status_code == 401
    again = api.call("POST", "/auth/refresh", "", refresh_token=second.json()["refresh_token"])
    assert again.status_code == 401


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    assert api.call("GET", "/me", api.login().json()["refresh_token"]).status_code == 401


def test_tokens_of_the_legacy_form_work_at_the_new_api(api: Api) -> None:
    old = api.client.post("/api/auth/login", {"username": api.admin.username, "password": PASSWORD}).json()
    assert api.call("GET", "/me", old["access_token"]).status_code == 200


def test_tokens_live_as_long_as_the_tenants_settings_say(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, access_token_ttl_minutes=5, refresh_token_ttl_days=2)
    assert api.login().json()["expires_in"] == 300


def test_a_session_that_was_ended_is_not_refreshed(api: Api) -> None:
    mine = api.login().json()
    assert api.call("POST", "/auth/logout", mine["access_token"]).status_code == 204
    assert api.call("POST", "/auth/refresh", "", refresh_token=mine["refresh_token"]).status_code == 401
