"""OAuth switched on, a registered client, and a site of our own that a real OAuth library talks to."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from flags.evaluate import definitions
from flags.models import Flag
from iam import keys
from iam.models import Tenant, User
from iam.oauth.models import OAuthClient
from tests.legacy_compat.conftest import PASSWORD, make_tenant, make_user
from tests.serving import served
from tests.world import World

CALLBACK = "http://127.0.0.1:9/callback"


@dataclass
class Site:
    url: str
    tenant: Tenant
    user: User
    client: OAuthClient
    secret: str

    def browser(self, user: User | None = None) -> requests.Session:
        """A browser in which the user has signed in."""
        session = requests.Session()
        page = session.get(f"{self.url}/oauth/sign-in")
        form = {"username": (user or self.user).username, "password": PASSWORD, "csrfmiddlewaretoken": csrf(page)}
        answer = session.post(f"{self.url}/oauth/sign-in", form, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return session

    def allow(self, session: requests.Session, url: str) -> str:
        """Press Allow on the consent page, if there is one. Returns where the browser is sent."""
        answer = session.get(url, allow_redirects=False)
        if answer.status_code == 200:
            data = {"allow": "yes", "csrfmiddlewaretoken": csrf(answer)}
            answer = session.post(url, data, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]


def csrf(page: requests.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def switch_on(*names: str) -> None:
    """For everybody; what they require holds."""
    Flag.objects.filter(derived=True).update(met=True)
    Flag.objects.filter(name__in=names).update(percentage=100)
    definitions(fresh=True)


def make_client(tenant: Tenant | None, **values: Any) -> tuple[OAuthClient, str]:
    made = OAuthClient(**({
        "client_id": uuid.uuid4().hex, "client_name": "Field App", "redirect_uris": [CALLBACK], "tenant": tenant,
        "allowed_grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "allowed_scopes": ["openid", "profile", "email", "users:read", "profile:read"],
    } | values))  # fmt: skip
    secret = "" if made.client_type == "public" else made.new_secret()
    made.save(force_insert=True)
    return made, secret


@pytest.fixture
def oauth(world: World, settings: Any) -> Iterator[Site]:
    keys.forget()
    settings.AUTH_CALLS_A_MINUTE = 0
    switch_on("oauth2_enabled")
    tenant = make_tenant()
    client, secret = make_client(tenant)
    user = make_user(tenant, is_superuser=True)
    with served(settings) as url:
        yield Site(url, tenant, user, client, secret)
