"""Access and refresh tokens as the legacy system issued them: JWT, HS256, with its claims; and sessions that can be revoked.

`sub` is the user name, but users are looked up by `user_id`: two tenants may each have a bob. Tokens that
the legacy system issued carry no `sid`; they go on working until they expire.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from iam.models import Session, User

ACCESS = timedelta(minutes=30)
REFRESH = timedelta(days=7)


@dataclass(frozen=True)
class Pair:
    """What a client gets for a login or a refresh."""

    access: str
    refresh: str


class BadToken(Exception):
    """The token is not ours, was changed, has expired, was revoked, or is of the wrong kind."""


def issue(user: User, *, ip: str | None, agent: str) -> Pair:
    """Begin a session."""
    session = Session.objects.create(
        user=user, session_id=uuid.uuid4().hex, device_info={"jti": uuid.uuid4().hex}, ip_address=ip or None,
        user_agent=agent[:500], expires_at=timezone.now() + REFRESH,
    )  # fmt: skip
    return _pair(user, session)


def refresh(token: str, *, ip: str | None, agent: str) -> tuple[User, Pair]:
    """The next pair of the same session. A token used twice ends its whole family. Raises BadToken."""
    claims = _claims(token, refresh=True)
    user = _user(claims)
    if "sid" not in claims:
        return user, issue(user, ip=ip, agent=agent)
    reused = False
    with transaction.atomic(using="iam"):
        session = Session.objects.select_for_update().filter(session_id=claims["sid"], user=user).first()
        if session is None or not session.is_active:
            raise BadToken
        reused = (session.device_info or {}).get("jti") != claims.get("jti")
        session.is_active = not reused
        session.device_info = {"jti": uuid.uuid4().hex}
        session.last_activity = timezone.now()
        session.save()
    if reused:
        raise BadToken
    return user, _pair(user, session)


def authenticate(token: str) -> User:
    """The user an access token speaks for, whether active or not. Raises BadToken."""
    claims = _claims(token, refresh=False)
    if "sid" in claims and not Session.objects.filter(session_id=claims["sid"], is_active=True).exists():
        raise BadToken
    return _user(claims)


def tenant_of(token: str) -> str:
    """The tenant a token names, for routing; empty when it names none or is not ours to read."""
    try:
        return str(jwt.decode(token, _key(), algorithms=["HS256"]).claims.get("tenant_id") or "")
    except (JoseError, ValueError):
        return ""


def revoke(token: str) -> None:
    """End the session behind an access token. Raises BadToken."""
    claims = _claims(token, refresh=False)
    Session.objects.filter(session_id=claims.get("sid", "")).update(is_active=False)


def revoke_all(user: User) -> None:
    """End every session of the user, as after a change of password."""
    Session.objects.filter(user=user).update(is_active=False)


def _pair(user: User, session: Session) -> Pair:
    about: dict[str, Any] = {
        "sub": user.username or "", "user_id": str(user.pk), "tenant_id": str(user.tenant_id), "sid": session.session_id,
    }  # fmt: skip
    now = int(time.time())
    jti = (session.device_info or {})["jti"]
    return Pair(
        _signed(about | {"exp": now + int(ACCESS.total_seconds())}),
        _signed(about | {"exp": now + int(REFRESH.total_seconds()), "type": "refresh", "jti": jti}),
    )


def _signed(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, _key())


def _key() -> OctKey:
    return OctKey.import_key(settings.LEGACY_JWT_SECRET)


def _claims(token: str, *, refresh: bool) -> dict[str, Any]:
    try:
        claims = jwt.decode(token, _key(), algorithms=["HS256"]).claims
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
    except (JoseError, ValueError) as error:
        raise BadToken from error
    if (claims.get("type") == "refresh") is not refresh:
        raise BadToken
    return claims


def _user(claims: dict[str, Any]) -> User:
    try:
        user = User.objects.filter(pk=uuid.UUID(str(claims.get("user_id")))).first()
    except ValueError:
        user = None
    if user is None or str(user.tenant_id) != str(claims.get("tenant_id", user.tenant_id)):
        raise BadToken
    return user
