"""What is stored of clients and tokens."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from django.utils import timezone

from flags.models import TenantHome
from iam.models import User
from iam.oauth.models import AccessToken, OAuthClient, RefreshToken
from tests.iam.oauth.conftest import Site
from tests.iam.oauth.flows import session, tokens_of


def test_tokens_and_secrets_are_stored_as_hashes(oauth: Site) -> None:
    token = tokens_of(oauth, session(oauth))
    assert not AccessToken.objects.filter(token=token["access_token"]).exists()
    assert not RefreshToken.objects.filter(token=token["refresh_token"]).exists()
    assert oauth.secret not in (OAuthClient.objects.get(pk=oauth.client.pk).client_secret_hash or "")


def test_a_user_who_is_switched_off_loses_what_clients_have(oauth: Site) -> None:
    client = session(oauth)
    token = tokens_of(oauth, client)
    User.objects.filter(pk=oauth.user.pk).update(is_active=False)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{oauth.url}/api/v1/me", headers=headers).status_code == 401
    with pytest.raises(OAuthError):
        client.refresh_token(f"{oauth.url}/oauth/token", refresh_token=token["refresh_token"])


def test_what_a_client_has_is_good_while_its_users_tenant_is_held(oauth: Site) -> None:
    """Reads never wait: asking whether a token is good writes nothing."""
    token = tokens_of(oauth, session(oauth))
    held = timezone.now() + timedelta(seconds=30)
    TenantHome.objects.filter(pk=str(oauth.tenant.pk)).update(held_until=held)
    began = time.monotonic()
    assert AccessToken.of_user(token["access_token"]) is not None and time.monotonic() - began < 5
