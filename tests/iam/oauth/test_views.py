"""What people see of OAuth: consent, refusal, taking it back."""

from __future__ import annotations

import time

import pytest
import requests
from authlib.integrations.base_client import OAuthError

from flags.models import Flag
from tests.iam.oauth.conftest import Site, csrf, switch_on
from tests.iam.oauth.flows import VERIFIER, session, tokens_of
from tests.legacy_compat.conftest import make_user


def test_nobody_is_sent_to_an_address_that_is_not_the_clients(oauth: Site) -> None:
    asked = f"response_type=code&client_id={oauth.client.client_id}&redirect_uri=https://evil.example/&scope=openid"
    answer = oauth.browser().get(f"{oauth.url}/oauth/authorize?{asked}", allow_redirects=False)
    assert answer.status_code == 400 and "Location" not in answer.headers


def test_denying_sends_the_browser_back_with_the_reason(oauth: Site) -> None:
    browser = oauth.browser()
    url, _ = session(oauth).create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
    page = browser.get(url)
    answer = browser.post(url, {"deny": "yes", "csrfmiddlewaretoken": csrf(page)}, allow_redirects=False)
    assert "error=access_denied" in answer.headers["Location"]


def test_while_the_flag_is_off_for_a_user_nothing_is_given(oauth: Site) -> None:
    elsewhere = make_user(oauth.tenant)
    Flag.objects.filter(name="oauth2_enabled").update(excluded=[f"user:{elsewhere.pk}"])
    url, _ = session(oauth).create_authorization_url(f"{oauth.url}/oauth/authorize", code_verifier=VERIFIER)
    time.sleep(2.1)  # definitions are kept for two seconds
    answer = oauth.browser(elsewhere).get(url, allow_redirects=False)
    assert answer.status_code == 403 and "not switched on" in answer.text


def test_what_was_allowed_is_taken_back_and_the_tokens_end(oauth: Site) -> None:
    switch_on("new_ui_enabled")
    token, browser = tokens_of(oauth, session(oauth)), oauth.browser()
    page = browser.get(f"{oauth.url}/oauth/welcome")
    for client in ("nonsense", oauth.client.client_id):
        form = {"client": client, "csrfmiddlewaretoken": csrf(page)}
        assert browser.post(f"{oauth.url}/oauth/withdraw", form).status_code == 200
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{oauth.url}/oauth/userinfo", headers=headers).status_code == 401
    with pytest.raises(OAuthError):
        session(oauth).refresh_token(f"{oauth.url}/oauth/token", refresh_token=token["refresh_token"])
