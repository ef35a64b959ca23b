"""Registering OAuth clients. A secret is shown once and never stored."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from iam.models import Tenant
from iam.oauth import addresses
from iam.oauth.models import SCOPES, AccessToken, OAuthClient, RefreshToken, spend
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason

GRANTS = {
    "authorization_code": "sign users in",
    "refresh_token": "stay signed in",
    "client_credentials": "act for itself",
}


def register(asked: Mapping[str, Any], *, by: str) -> tuple[OAuthClient, str]:
    """A new client and its secret (empty for a public one). `asked` is a form's content. Raises Refusal."""
    client = OAuthClient(client_id=secrets.token_urlsafe(16), **_checked(asked))
    secret = client.new_secret() if client.client_type == OAuthClient.Type.CONFIDENTIAL else ""
    _save(client, "register_client", by=by)
    return client, secret


def change(client: OAuthClient, asked: Mapping[str, Any], *, by: str) -> None:
    """Raises Refusal."""
    for name, value in _checked(asked).items():
        setattr(client, name, value)
    _save(client, "change_client", by=by)


def renew_secret(client: OAuthClient, *, by: str) -> str:
    """A new secret; the old one ends. Raises Refusal for a public client."""
    if client.client_type == OAuthClient.Type.PUBLIC:
        raise Refusal("A public client has no secret.", subject=client.client_name)
    secret = client.new_secret()
    _save(client, "renew_client_secret", by=by)
    return secret


def switch(client: OAuthClient, *, on: bool, by: str, reason: str) -> None:
    """Switch a client on or off; off, all its tokens end. Raises Refusal without a reason."""
    require_reason(reason, to="Switching a client", subject=client.client_name)
    client.is_active = on
    if not on:
        spend(RefreshToken.objects.filter(client=client))
        AccessToken.objects.filter(client=client).update(expires_at=timezone.now())
    _save(client, "switch_client_on" if on else "switch_client_off", by=by, reason=reason)


def _save(client: OAuthClient, verb: str, *, by: str, reason: str = "") -> None:
    # Two databases: the record first, so that nothing happens that is not on it.
    with transaction.atomic(), transaction.atomic(using="iam"):
        chain.record(
            verb, object_type="oauthclient", object_id=client.client_id, by=by, reason=reason,
            data={"client": client.client_name},
        )  # fmt: skip
        client.updated_at = timezone.now()
        client.save()


def _checked(asked: Mapping[str, Any]) -> dict[str, Any]:
    name = asked["client_name"].strip()
    if not name:
        raise Refusal("A client needs a name: users see it when they are asked.", subject="client")
    public = asked["client_type"] == OAuthClient.Type.PUBLIC
    grants = [grant for grant in GRANTS if grant in asked["grants"]]
    uris = [uri.strip() for uri in asked["redirect_uris"].splitlines() if uri.strip()]
    for uri in uris:
        _check_address(uri)
    if "authorization_code" in grants and not uris:
        raise Refusal(
            "Signing users in needs a redirect address.", subject=name, todo="Write at least one, one a line."
        )
    if not grants:
        raise Refusal("It has no grant.", subject=name, todo="Tick at least one thing that it may do.")
    if public and "client_credentials" in grants:
        raise Refusal("A public client cannot prove its identity, so it cannot act for itself.", subject=name)
    tenant = _tenant(asked["tenant"].strip(), name)
    if "client_credentials" in grants and tenant is None:
        raise Refusal("A client that acts for itself needs a tenant.", subject=name, todo="Write the tenant's id.")
    return {
        "client_name": name[:255], "client_type": asked["client_type"], "redirect_uris": uris, "tenant": tenant,
        "allowed_grant_types": grants, "allowed_scopes": [scope for scope in SCOPES if scope in asked["scopes"]],
    }  # fmt: skip


def _check_address(uri: str) -> None:
    if not addresses.fit(uri):
        raise Refusal(f"{uri} is not a redirect address.", todo="Write the whole URL, with https://, without * or #.")


def _tenant(id: str, name: str) -> Tenant | None:
    if not id:
        return None
    try:
        tenant = Tenant.objects.filter(pk=uuid.UUID(id)).first()
    except ValueError:
        tenant = None
    if tenant is None:
        raise Refusal(f"The IAM has no tenant {id}.", subject=name, todo="Copy its id from the cut-over board.")
    return tenant
