"""Whom a token speaks for, or is about; whether it has ended. Issuing and ending them: iam/tokens.py."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db.models import Q
from joserfc import jwt
from joserfc.errors import JoseError

from iam import forms
from iam.models import EndedSessions, Session, User

LEGACY_ACCESS = timedelta(minutes=30)
LEGACY_REFRESH = timedelta(days=7)
PASSWORD_ONLY = ("pwd",)
"""How tokens of the legacy form were won: its doors ask for nothing more."""
BadToken = forms.BadToken


@dataclass(frozen=True)
class Bearer:
    """Whom an access token speaks for. Without a user, a client speaks for itself."""

    user: User
    claims: Mapping[str, Any]

    @property
    def scopes(self) -> frozenset[str] | None:
        """What an OAuth client was allowed; None for a user's own session."""
        scope = self.claims.get("scope")
        return None if scope is None else frozenset(str(scope).split())

    @property
    def amr(self) -> Sequence[str]:
        return self.claims.get("amr", PASSWORD_ONLY)

    @property
    def strong(self) -> bool:
        """Whether more than a password was shown."""
        return "otp" in self.amr


@dataclass(frozen=True)
class About:
    """A tenant and a user, by id; empty where unknown."""

    tenant: str = ""
    user: str = ""


def authenticate(token: str) -> Bearer:
    """Whom an access token speaks for, whether active or not. Raises BadToken."""
    claims = decode(token, kind="access")
    return Bearer(user_of(claims, token=token), claims)


def about(token: str) -> About:
    """Whom a token names, for routing; empty when it names none or is not ours to read.

    Tokens that legacy refreshed have lost their tenant: it is the user's.
    """
    try:
        claims = forms.verified(token)
        tenant, user = str(claims.get("tenant_id") or ""), str(claims.get("user_id") or "")
        if user and not tenant:
            tenant = str(User.objects.filter(pk=uuid.UUID(user)).values_list("tenant_id", flat=True).first() or "")
    except (BadToken, ValueError):
        return About()
    return About(tenant, user)


def readable(token: str) -> bool:
    """Whether the token's signature and issuer are right, spelled as they are issued."""
    try:
        forms.verified(token)
    except BadToken:
        return False
    return True


def revoked(token: str) -> bool:
    """Whether a token was ended here: asked before legacy, which does not know, is. Access and refresh tokens alike."""
    try:
        claims = forms.verified(token)
        at, user = issued(claims), uuid.UUID(str(claims.get("user_id")))
    except (BadToken, KeyError, ValueError, TypeError):
        return False  # not ours to judge
    if "sid" in claims:
        return not Session.objects.filter(session_id=claims["sid"], is_active=True).exists()
    if Session.objects.filter(session_id=digest(token), is_active=False).exists():
        return True
    return EndedSessions.objects.filter(Q(kept=None) | ~Q(kept=at), pk=user, ended_at__gt=at).exists()


def decode(token: str, *, kind: str) -> Mapping[str, Any]:
    """The claims of a good token of this kind: access or refresh. Raises BadToken."""
    claims = forms.verified(token)
    try:
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(dict(claims))
    except JoseError as error:
        raise BadToken from error
    if claims.get("type", "access") != kind:
        raise BadToken
    return claims


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def issued(claims: Mapping[str, Any]) -> datetime:
    """When a token without a session was issued, at the latest: the legacy system does not say, but how long its tokens live, and
    that in whole seconds."""
    life = LEGACY_REFRESH if claims.get("type") == "refresh" else LEGACY_ACCESS
    return datetime.fromtimestamp(claims["exp"], UTC) - life + timedelta(seconds=1)


def user_of(claims: Mapping[str, Any], *, token: str) -> User:
    """Raises BadToken; also when its session, or the token itself where it has none, was ended.

    Not for a user who is off: no door lets them in, but the legacy ones say so in words of their own.
    """
    try:
        key = uuid.UUID(str(claims.get("user_id")))
    except ValueError:
        raise BadToken from None
    session = claims.get("sid")
    # Every request asks this: a statement that is composed once spares the ORM's work, which is most of a request's.
    at = issued(claims)
    users = User.objects.raw(_statement(), [key, session, digest(token), at, at, session])
    user = next(iter(users), None)
    if user is None or str(user.tenant_id) != str(claims.get("tenant_id", user.tenant_id)):
        raise BadToken
    return user


_MFA = (
    "NOT EXISTS (SELECT FROM system_capabilities AS o LEFT JOIN tenant_capabilities AS c"
    " ON c.capability_key = o.capability_key AND c.tenant_id = t.id"
    " WHERE o.capability_key = 'mfa' AND NOT (o.enabled AND coalesce(c.enabled, true)))"
)


@cache
def _statement() -> str:
    sessions = "SELECT FROM user_sessions AS s WHERE s.session_id"
    return (
        f"SELECT {User.columns('u')}, t.is_active AS tenant_is_active, "
        f" coalesce(w.mfa_required, false) AND {_MFA} AS tenant_wants_codes"
        " FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id LEFT JOIN tenant_settings AS w ON w.tenant_id = t.id"
        " WHERE u.id = %s AND (u.is_active IS NOT TRUE OR CASE WHEN %s::text IS NULL"
        f" THEN NOT EXISTS ({sessions} = %s AND NOT s.is_active)"
        " AND NOT EXISTS (SELECT FROM ended_sessions AS e WHERE e.user_id = u.id AND e.ended_at > %s"
        " AND e.kept IS DISTINCT FROM %s)"
        f" ELSE EXISTS ({sessions} = %s AND s.user_id = u.id AND s.is_active) END)"
    )
