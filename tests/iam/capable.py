"""Changing capabilities, of the system and of a tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from authlib.integrations.requests_client import OAuth2Session

from iam import bearers
from iam.models import SystemCapability, Tenant, TenantCapability
from tests.iam.oauth.conftest import Site
from tests.iam.oauth.flows import VERIFIER


def system(key: str, **values: Any) -> None:
    SystemCapability.objects.filter(pk=key).update(**values)


def own(tenant: Tenant, key: str, *, enabled: bool = True, value: Any = None) -> None:
    TenantCapability.objects.filter(tenant=tenant, capability_key=key).delete()
    TenantCapability(tenant=tenant, capability_key=key, enabled=enabled, value=value).save(force_insert=True)


def off(tenant: Tenant, key: str, level: str) -> None:
    if level == "system":
        system(key, enabled=False)
    else:
        own(tenant, key, enabled=False)


LEVELS = pytest.mark.parametrize("level", ["system", "tenant"])


def life(token: str) -> timedelta:
    claims = bearers.decode(token, kind="access")
    return timedelta(seconds=claims["exp"] - claims["iat"])


def code_of(site: Site, client: OAuth2Session) -> str:
    """The redirect of an authorization request."""
    url, _ = client.create_authorization_url(f"{site.url}/oauth/authorize", code_verifier=VERIFIER, nonce="n-1")
    return site.allow(site.browser(), url)
