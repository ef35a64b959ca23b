"""The OAuth flows, with a foreign client library."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from flags.evaluate import definitions
from flags.models import Flag
from iam.oauth.models import AccessToken, AuthorizationCode, RefreshToken
from tests.iam.oauth.conftest import CALLBACK, Site, make_client
from tests.iam.oauth.flows import VERIFIER, session, tokens_of
from tests.legacy_compat.conftest import make_tenant


def test_code_flow_gives_tokens_that_say_who_it_is(oauth: Site) -> None:
    found = requests.get(f"{oauth.url}/.well-known/openid-configuration").json()
    assert found["issuer"] == oauth.url
    token = tokens_of(oauth, session(oauth))
    published = KeySet.import_key_set(requests.get(found["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], published, ["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (oauth.url, [oauth.client.client_id], "n-1")
    assert claims["sub"] == str(oauth.user.pk) and claims["email"] == oauth.user.email
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(found["userinfo_endpoint"], headers=headers).json()["sub"] == str(oauth.user.pk)
    assert requests.get(f"{oauth.url}/api/v1/users", headers=headers).status_code == 200
    assert requests.patch(f"{oauth.url}/api/v1/me", json={"bio": "x"}, headers=headers).status_code == 403  # its scopes


def test_a_refresh_token_is_good_once_and_reuse_ends_all(oauth: Site) -> None:
    client = session(oauth)
    first = tokens_of(oauth, client)
    second = client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=first["refresh_token"])
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=second["refresh_token"])
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert requests.get(f"{oauth.url}/oauth/userinfo", headers=headers).status_code == 401


def test_a_client_speaks_for_itself_within_its_scopes(oauth: Site) -> None:
    client = OAuth2Session(oauth.client.client_id, oauth.secret)
    token = client.fetch_token(f"{oauth.url}/oauth/token", grant_type="client_credentials", scope="users:read")
    assert token["scope"] == "users:read" and "refresh_token" not in token
    with pytest.raises(OAuthError, match="invalid_scope"):
        client.fetch_token(f"{oauth.url}/oauth/token", grant_type="client_credentials", scope="roles:write")


def test_introspection_and_revocation(oauth: Site) -> None:
    client = session(oauth)
    token = tokens_of(oauth, client)
    asked = client.introspect_token(f"{oauth.url}/oauth/introspect", token=token["access_token"]).json()
    assert asked["active"] and asked["sub"] == str(oauth.user.pk)
    client.revoke_token(f"{oauth.url}/oauth/revoke", token=token["refresh_token"])
    assert client.introspect_token(f"{oauth.url}/oauth/introspect", token=token["access_token"]).json() == {
        "active": False
    }
    other, secret = make_client(make_tenant())
    fresh = tokens_of(oauth, session(oauth))
    asked = session(oauth, other, secret).introspect_token(f"{oauth.url}/oauth/introspect", token=fresh["access_token"])
    assert asked.json() == {"active": False}


def test_a_code_is_good_once_for_its_client_and_with_its_verifier(oauth: Site) -> None:
    client = session(oauth)
    browser = oauth.browser()

    def code() -> str:
        url, _ = client.create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
        return parse_qs(urlsplit(oauth.allow(browser, url)).query)["code"][0]

    def redeem(code: str, verifier: str = VERIFIER, who: OAuth2Session = client) -> None:
        who.fetch_token(f"{oauth.url}/oauth/token", code=code, code_verifier=verifier, grant_type="authorization_code")

    good = code()
    redeem(good)
    for broken in (
        lambda: redeem(good),
        lambda: redeem(code(), "another-verifier-that-is-long-enough-for-the-standard"),
    ):
        with pytest.raises(OAuthError, match="invalid_grant"):
            broken()
    other, secret = make_client(oauth.tenant)
    with pytest.raises(OAuthError, match="invalid_grant"):
        redeem(code(), who=session(oauth, other, secret))


def test_a_code_lives_for_five_minutes(oauth: Site) -> None:
    client = session(oauth)
    url, _ = client.create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
    oauth.allow(oauth.browser(), url)
    code = AuthorizationCode.objects.get()
    assert round((code.expires_at - code.created_at).total_seconds()) == 300


def test_a_client_speaks_for_itself_where_only_its_tenant_has_oauth(oauth: Site) -> None:
    Flag.objects.filter(name="oauth2_enabled").update(percentage=0, targets=[f"tenant:{oauth.tenant.pk}"])
    definitions(fresh=True)
    token = OAuth2Session(oauth.client.client_id, oauth.secret).fetch_token(
        f"{oauth.url}/oauth/token", grant_type="client_credentials", scope="users:read"
    )
    told = session(oauth).introspect_token(f"{oauth.url}/oauth/introspect", token=token["access_token"]).json()
    assert told["active"]


def test_without_pkce_nothing_is_given(oauth: Site) -> None:
    asked = f"response_type=code&client_id={oauth.client.client_id}&redirect_uri={CALLBACK}&scope=openid"
    answer = oauth.browser().get(f"{oauth.url}/oauth/authorize?{asked}", allow_redirects=False)
    assert "code=" not in answer.headers.get("Location", "") and "S256" in answer.text + answer.headers.get(
        "Location", ""
    )


def test_a_public_client_needs_no_secret_and_a_confidential_one_does(oauth: Site) -> None:
    public, _ = make_client(oauth.tenant, client_type="public", allowed_grant_types=["authorization_code"])
    token = tokens_of(oauth, session(oauth, public, "", token_endpoint_auth_method="none"))
    assert "access_token" in token
    with pytest.raises(OAuthError, match="invalid_client"):
        tokens_of(oauth, session(oauth, secret="wrong"))


def test_what_has_expired_is_refused(oauth: Site) -> None:
    client = session(oauth)
    token = tokens_of(oauth, client)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{oauth.url}/api/v1/users", headers=headers).status_code == 200
    for kind in (AccessToken, RefreshToken):
        kind.objects.update(expires_at=timezone.now())
    assert requests.get(f"{oauth.url}/api/v1/users", headers=headers).status_code == 401
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=token["refresh_token"])
    url, _ = client.create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
    code = parse_qs(urlsplit(oauth.allow(oauth.browser(), url)).query)["code"][0]
    AuthorizationCode.objects.update(expires_at=timezone.now())
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.fetch_token(
            f"{oauth.url}/oauth/token", code=code, code_verifier=VERIFIER, grant_type="authorization_code"
        )
