"""Who is asking, and whether they may."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.security import HttpBearer

from flags import homes
from flags.models import TenantHome
from iam import tokens
from iam.api.problems import Problem
from iam.models import User
from iam.oauth.models import AccessToken
from iam.permissions import allowed, subject

_SAFE = ("GET", "HEAD", "OPTIONS")


class Token(HttpBearer):
    """The access token of a user's session, of our own form or the legacy system's, or of an OAuth client that acts for them."""

    def authenticate(self, request: HttpRequest, token: str) -> tokens.Bearer | None:
        try:
            # Ours are signed; those of clients are random, and have no dots.
            bearer = tokens.authenticate(token) if "." in token else _of_client(token)
        except tokens.BadToken:
            return None
        if bearer is None or not bearer.user.is_active:
            return None
        at_home(str(bearer.user.tenant_id), request)
        request.flag_subject = subject(bearer.user)  # type: ignore[attr-defined]
        return bearer


def _of_client(token: str) -> tokens.Bearer | None:
    access_token = AccessToken.of_user(token)
    return (
        tokens.Bearer(access_token.user, {"scope": access_token.get_scope()})
        if access_token and access_token.user
        else None
    )


def at_home(tenant: str, request: HttpRequest) -> None:
    """Raises Problem unless the IAM owns the tenant; a write waits while it is being moved."""
    if homes.serving(tenant, write=request.method not in _SAFE) != TenantHome.Home.IAM:
        raise Problem(
            409, "tenant-not-moved",
            "This tenant still lives in the legacy system: use the legacy endpoints until it has been moved.",
        )  # fmt: skip


def caller(request: HttpRequest, permission: str) -> User:
    """The user behind the request. Raises Problem when they, or the client that acts for them, may not."""
    bearer: Any = request.auth  # type: ignore[attr-defined]
    if permission not in allowed(bearer.user) or (bearer.scopes is not None and permission not in bearer.scopes):
        raise Problem(403, "forbidden", f"This needs the permission {permission}.")
    user: User = bearer.user
    return user
