"""What a tenant may use is enforced at every door: capability × grant, flow and lifetime; and what is off is off at once."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from iam import bearers, capabilities
from iam.models import TenantSettings
from tests.iam.capable import LEVELS, code_of, life, off, own, system
from tests.iam.conftest import Api
from tests.iam.oauth.conftest import CALLBACK, Site, make_client
from tests.iam.oauth.conftest import oauth as oauth  # the fixture
from tests.iam.oauth.flows import VERIFIER, session, tokens_of
from tests.legacy_compat.conftest import PASSWORD

# Effective values


def test_a_capability_says_what_decided_it(api: Api) -> None:
    own(api.tenant, "totp", enabled=False)
    own(api.tenant, "oidc")
    own(api.tenant, "max_token_ttl", value={"max_access_token_ttl_minutes": 5})
    found = capabilities.of(api.tenant.pk)
    assert found["saml"].because == "The system does not offer it." and not found.on("saml")
    assert found["totp"].because == "It is switched off for the tenant." and not found.on("totp")
    assert found["oidc"].because == "The tenant has it, with the system's default."
    assert found["mfa"].because == "The system offers it, and nothing is said about the tenant." and found.on("mfa")
    assert found["max_token_ttl"].because == "The tenant has a value of its own."
    assert found.longest("access") == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("value", "longest"),
    [
        ({"value": "2m"}, 120), ({"value": "30s"}, 60), ({"value": "1h"}, 900), ({"value": "1d"}, 900), ({"value": "soon"}, 900),
        ({"value": 5}, 900), ({"max_access_token_ttl_minutes": 0}, 900), ({"max_access_token_ttl_minutes": True}, 900),
        ({"max_access_token_ttl_minutes": 10**12}, 900), ([], 900), ("x", 900), ({"max_access_token_ttl_minutes": "5"}, 900),
    ],
)  # fmt: skip
def test_a_limit_is_read_whatever_somebody_wrote(api: Api, value: Any, longest: int) -> None:
    own(api.tenant, "max_token_ttl", value=value)
    assert capabilities.of(api.tenant.pk).longest("access") == timedelta(seconds=longest)


# Lifetimes


def test_our_access_tokens_live_no_longer_than_the_system_and_the_tenant_allow(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, access_token_ttl_minutes=600, refresh_token_ttl_days=300)
    assert life(api.login().json()["access_token"]) == timedelta(minutes=15)
    own(api.tenant, "max_token_ttl", value={"max_access_token_ttl_minutes": 3, "max_refresh_token_ttl_days": 2})
    pair = api.login().json()
    assert life(pair["access_token"]) == timedelta(minutes=3) and pair["expires_in"] == 180
    claims = bearers.decode(pair["refresh_token"], kind="refresh")
    assert timedelta(seconds=claims["exp"] - claims["iat"]) <= timedelta(days=2)


def test_without_the_capability_the_tenants_settings_alone_decide(api: Api) -> None:
    TenantSettings.objects.create(tenant=api.tenant, access_token_ttl_minutes=600)
    system("max_token_ttl", enabled=False)
    assert life(api.login().json()["access_token"]) == timedelta(minutes=600)


@pytest.mark.parametrize(("policy", "minutes"), [("refuse", 4), ("contract", 30)])
def test_tokens_of_the_legacy_form_obey_the_tenants_own_limit_where_its_policy_is_obeyed(
    api: Api, settings: Any, policy: str, minutes: int
) -> None:
    settings.LEGACY_POLICY = policy
    own(api.tenant, "max_token_ttl", value={"max_access_token_ttl_minutes": 4})
    pair = api.client.post("/api/auth/login", {"username": api.admin.username, "password": PASSWORD}).json()
    again = api.client.post("/api/auth/refresh", {"refresh_token": pair["refresh_token"]}).json()
    for token in (pair["access_token"], again["access_token"]):
        left = bearers.decode(token, kind="access")["exp"] - time.time()
        assert minutes * 60 - 10 < left <= minutes * 60 + 1


def test_tokens_of_clients_and_id_tokens_are_capped(oauth: Site) -> None:
    own(oauth.tenant, "max_token_ttl", value={"max_access_token_ttl_minutes": 2, "max_id_token_ttl_minutes": 4})
    token = tokens_of(oauth, session(oauth))
    assert token["expires_in"] == 120
    keys = KeySet.import_key_set(requests.get(f"{oauth.url}/.well-known/jwks.json").json())
    claims = jwt.decode(token["id_token"], keys, ["ES256"]).claims
    assert claims["exp"] - claims["iat"] == 240
    alone = OAuth2Session(oauth.client.client_id, oauth.secret)
    assert (
        alone.fetch_token(f"{oauth.url}/oauth/token", grant_type="client_credentials", scope="users:read")["expires_in"]
        == 120
    )


# Grants


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "client_credentials"])
@LEVELS
def test_a_grant_that_is_not_allowed_is_refused(oauth: Site, grant: str, level: str) -> None:
    client = session(oauth)
    first = tokens_of(oauth, client)
    allowed = {
        "value": [each for each in ("authorization_code", "refresh_token", "client_credentials") if each != grant]
    }
    if level == "system":
        system("allowed_grant_types", default_value=allowed)
    else:
        own(oauth.tenant, "allowed_grant_types", value=allowed)
    url = f"{oauth.url}/oauth/token"
    if grant == "authorization_code":
        asked, _ = client.create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
        assert "code=" not in oauth.browser().get(asked, allow_redirects=False).headers.get("Location", "")
    elif grant == "refresh_token":
        with pytest.raises(OAuthError):
            client.refresh_token(url, refresh_token=first["refresh_token"])
        assert "refresh_token" not in tokens_of(oauth, session(oauth), nonce="n-2")
    else:
        with pytest.raises(OAuthError, match="unauthorized_client"):
            OAuth2Session(oauth.client.client_id, oauth.secret).fetch_token(url, grant_type=grant, scope="users:read")


def test_a_client_without_a_tenant_is_bound_by_that_of_its_user(oauth: Site) -> None:
    client, secret = make_client(None)
    own(oauth.tenant, "allowed_grant_types", value={"value": ["client_credentials"]})
    asked, _ = session(oauth, client, secret).create_authorization_url(
        f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER
    )
    assert oauth.browser().get(asked, allow_redirects=False).status_code == 403


# Scopes


@LEVELS
def test_scopes_beyond_the_allowed_name_spaces_are_not_granted_and_end_for_tokens_that_have_them(
    oauth: Site, level: str
) -> None:
    token = tokens_of(oauth, session(oauth))
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{oauth.url}/api/v1/users", headers=headers).status_code == 200
    spaces = {"value": ["openid", "profile"]}
    if level == "system":
        system("allowed_scope_namespaces", default_value=spaces)
    else:
        own(oauth.tenant, "allowed_scope_namespaces", value=spaces)
    assert requests.get(f"{oauth.url}/api/v1/users", headers=headers).status_code == 403
    assert set(tokens_of(oauth, session(oauth), nonce="n-2")["scope"].split()) == {"openid", "profile", "email"}
    with pytest.raises(OAuthError, match="invalid_scope"):
        OAuth2Session(oauth.client.client_id, oauth.secret).fetch_token(
            f"{oauth.url}/oauth/token", grant_type="client_credentials", scope="users:read"
        )


@LEVELS
def test_without_oidc_nobody_gets_an_id_token(oauth: Site, level: str) -> None:
    before = tokens_of(oauth, session(oauth))
    off(oauth.tenant, "oidc", level)
    headers = {"Authorization": f"Bearer {before['access_token']}"}
    assert requests.get(f"{oauth.url}/oauth/userinfo", headers=headers).status_code == 403
    after = tokens_of(oauth, session(oauth), nonce="n-2")
    assert "id_token" not in after and "openid" not in after["scope"].split()


# OAuth and PKCE


@LEVELS
def test_without_oauth2_no_client_gets_anything_and_what_it_has_ends(oauth: Site, level: str) -> None:
    client = session(oauth)
    token = tokens_of(oauth, client)
    off(oauth.tenant, "oauth2", level)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{oauth.url}/api/v1/me", headers=headers).status_code == 401
    assert requests.get(f"{oauth.url}/oauth/userinfo", headers=headers).status_code == 401
    url = f"{oauth.url}/oauth/token"
    with pytest.raises(OAuthError):
        client.refresh_token(url, refresh_token=token["refresh_token"])
    with pytest.raises(OAuthError):
        OAuth2Session(oauth.client.client_id, oauth.secret).fetch_token(
            url, grant_type="client_credentials", scope="users:read"
        )
    asked, _ = client.create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
    answer = oauth.browser().get(asked, allow_redirects=False)
    assert "code=" not in answer.headers.get("Location", "")


@pytest.mark.parametrize(("kind", "mandatory", "served"), [
    ("confidential", True, False), ("confidential", False, True), ("public", True, False), ("public", False, False),
])  # fmt: skip
def test_pkce_is_asked_of_whoever_must_use_it(oauth: Site, kind: str, mandatory: bool, served: bool) -> None:
    own(oauth.tenant, "pkce_mandatory", value={"value": mandatory})
    client, secret = make_client(oauth.tenant, client_type=kind)
    plain = OAuth2Session(client.client_id, secret, scope="profile", redirect_uri=CALLBACK)
    asked, _ = plain.create_authorization_url(f"{oauth.url}/oauth/authorize")
    browser = oauth.browser()
    answer = browser.get(asked, allow_redirects=False)
    if not served:
        assert "error=invalid_request" in answer.headers["Location"]
        return
    token = plain.fetch_token(f"{oauth.url}/oauth/token", authorization_response=oauth.allow(browser, asked))
    assert token["access_token"]


def test_a_challenge_that_was_sent_is_checked_even_where_none_is_due(oauth: Site) -> None:
    own(oauth.tenant, "pkce_mandatory", enabled=False)
    back = code_of(oauth, session(oauth))
    with pytest.raises(OAuthError, match="invalid_grant"):
        session(oauth).fetch_token(
            f"{oauth.url}/oauth/token", authorization_response=back, code_verifier=VERIFIER.replace("a", "b")
        )
