"""What a client wants of an authorization request: OpenID Connect Core §3.1.2.1, RFC 9207, RFC 6749 §4.1.2."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from joserfc import jwt
from joserfc.jwk import KeySet

from iam.models import Session
from tests.iam.oauth.conftest import Site, csrf
from tests.iam.oauth.flows import VERIFIER, session, tokens_of
from tests.legacy_compat.conftest import PASSWORD


def asked(site: Site, **wishes: Any) -> str:
    url, _ = session(site).create_authorization_url(f"{site.url}/oauth/authorize", code_verifier=VERIFIER, **wishes)
    return str(url)


def back(answer: requests.Response) -> dict[str, str]:
    """What the client is told; empty where the browser stays with us."""
    location = answer.headers.get("Location", "")
    return (
        {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        if "127.0.0.1:9/" in location
        else {}
    )


def get(browser: requests.Session, url: str) -> requests.Response:
    return browser.get(url, allow_redirects=False)


def sign_in_again(site: Site, browser: requests.Session, page: requests.Response) -> str:
    """Returns where the sign-in page sends to."""
    form = browser.get(site.url + page.headers["Location"])
    after = parse_qs(urlsplit(page.headers["Location"]).query)["next"][0]
    data = {"username": site.user.username, "password": PASSWORD, "next": after, "csrfmiddlewaretoken": csrf(form)}
    answer = browser.post(f"{site.url}/oauth/sign-in", data, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def test_prompt_none_shows_no_page(oauth: Site) -> None:
    url = asked(oauth, prompt="none")
    assert back(get(requests.Session(), url))["error"] == "login_required"
    browser = oauth.browser()
    assert back(get(browser, url))["error"] == "consent_required"
    oauth.allow(browser, asked(oauth))
    assert "code" in back(get(browser, url))


def test_prompt_login_asks_again_and_once(oauth: Site) -> None:
    browser = oauth.browser()
    oauth.allow(browser, asked(oauth))
    url = asked(oauth, prompt="login")
    page = get(browser, url)
    assert page.headers["Location"].startswith("/oauth/sign-in")
    assert get(browser, url).headers["Location"].startswith("/oauth/sign-in")  # leaving the page is no sign-in
    again = sign_in_again(oauth, browser, page)
    assert "code" in back(get(browser, oauth.url + again))
    assert get(browser, asked(oauth, prompt="login")).headers["Location"].startswith("/oauth/sign-in")


def test_prompt_consent_asks_although_it_was_allowed(oauth: Site) -> None:
    browser = oauth.browser()
    oauth.allow(browser, asked(oauth))
    page = get(browser, asked(oauth, prompt="consent"))
    assert page.status_code == 200 and "act for you" in page.text


@pytest.mark.parametrize("age", ["0", "30"])
def test_max_age_asks_who_signed_in_longer_ago(oauth: Site, age: str) -> None:
    browser = oauth.browser()
    oauth.allow(browser, asked(oauth))
    found = Session.objects.get(user=oauth.user)
    found.device_info = {**(found.device_info or {}), "auth_time": time.time() - 60}
    found.save()
    url = asked(oauth, max_age=age)
    assert "code" in back(get(browser, asked(oauth, max_age="90")))
    assert back(get(browser, asked(oauth, max_age=age, prompt="none")))["error"] == "login_required"
    page = get(browser, url)
    assert page.headers["Location"].startswith("/oauth/sign-in")
    assert "code" in back(get(browser, oauth.url + sign_in_again(oauth, browser, page)))


@pytest.mark.parametrize(
    "wish", [{"prompt": "none login"}, {"prompt": "dance"}, {"max_age": "soon"}, {"max_age": "-1"}]
)
def test_a_wish_that_means_nothing_goes_back_as_an_error(oauth: Site, wish: dict[str, str]) -> None:
    told = back(get(oauth.browser(), asked(oauth, **wish)))
    assert told["error"] == "invalid_request" and told["state"]


def test_every_answer_names_the_issuer(oauth: Site) -> None:
    browser = oauth.browser()
    found = requests.get(f"{oauth.url}/.well-known/openid-configuration").json()
    assert found["authorization_response_iss_parameter_supported"] is True
    assert back(get(browser, asked(oauth, prompt="none")))["iss"] == oauth.url
    page = browser.get(asked(oauth))
    denied = browser.post(page.url, {"deny": "x", "csrfmiddlewaretoken": csrf(page)}, allow_redirects=False)
    assert (back(denied)["error"], back(denied)["iss"]) == ("access_denied", oauth.url)
    assert parse_qs(urlsplit(oauth.allow(browser, asked(oauth))).query)["iss"] == [oauth.url]


def test_the_id_token_says_how_and_when(oauth: Site) -> None:
    began = int(time.time())
    token = tokens_of(oauth, session(oauth))
    published = KeySet.import_key_set(requests.get(f"{oauth.url}/.well-known/jwks.json").json())
    claims = jwt.decode(token["id_token"], published, ["ES256"]).claims
    assert (claims["amr"], claims["acr"]) == (["pwd"], "aal1")
    assert began <= claims["auth_time"] <= int(time.time())
    about = session(oauth).introspect_token(f"{oauth.url}/oauth/introspect", token=token["access_token"]).json()
    assert (about["acr"], about["auth_time"]) == ("aal1", claims["auth_time"])


def test_a_code_that_comes_twice_ends_what_it_gave(oauth: Site) -> None:
    client = session(oauth)
    code = parse_qs(urlsplit(oauth.allow(oauth.browser(), asked(oauth))).query)["code"][0]

    def redeem() -> dict[str, str]:
        return client.fetch_token(  # type: ignore[no-any-return]
            f"{oauth.url}/oauth/token", code=code, code_verifier=VERIFIER, grant_type="authorization_code"
        )

    first, other = redeem(), tokens_of(oauth, session(oauth))
    second = client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=first["refresh_token"])
    with pytest.raises(OAuthError, match="invalid_grant"):
        redeem()
    for token, status in ((first, 401), (second, 401), (other, 200)):
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        assert requests.get(f"{oauth.url}/oauth/userinfo", headers=headers).status_code == status
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=second["refresh_token"])


@pytest.mark.parametrize("nonce", ["x" * 2000, "a\0b", "\u202e"])
def test_an_odd_nonce_is_no_fault_of_ours(oauth: Site, nonce: str) -> None:
    answer = get(oauth.browser(), asked(oauth, nonce=nonce))
    assert answer.status_code in (200, 400) or back(answer)


@pytest.mark.parametrize("sent", ["Basic AGE6Yg==", "Basic /////w==", "Basic !", "Basic", "Basic " + "A" * 5000])
def test_odd_credentials_of_a_client_are_refused(oauth: Site, sent: str) -> None:
    for endpoint in ("token", "introspect", "revoke"):
        data = {"grant_type": "client_credentials", "token": "x"}
        answer = requests.post(f"{oauth.url}/oauth/{endpoint}", data, headers={"Authorization": sent})
        assert answer.status_code in (400, 401), answer.text
        assert answer.json()["error"] in ("invalid_client", "invalid_request", "unauthorized_client")
