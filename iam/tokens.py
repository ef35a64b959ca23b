"""Access and refresh tokens, and the sessions behind them that can be revoked.

Two forms: as the legacy system issued them (JWT, HS256, with its claims), for its clients; and our
own (ES256, keys in iam/keys.py), for the new API. A token's algorithm says which key it must be
signed with, so neither passes for the other. `sub` of the legacy form is the user name, but users are
looked up by `user_id`: two tenants may each have a bob. Tokens that the legacy system issued carry
no `sid`; they go on working until they expire.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from iam import keys
from iam.models import Session, TenantSettings, User

LEGACY_ACCESS = timedelta(minutes=30)
LEGACY_REFRESH = timedelta(days=7)
LONGEST_ACCESS = timedelta(minutes=15)
"""The system's capability max_token_ttl."""


@dataclass(frozen=True)
class Pair:
    """What a client gets for a login or a refresh; `expires_in` is of the access token, in seconds."""

    access: str
    refresh: str
    expires_in: int


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


@dataclass(frozen=True)
class About:
    """A tenant and a user, by id; empty where unknown."""

    tenant: str = ""
    user: str = ""


class BadToken(Exception):
    """The token is not ours, was changed, has expired, was revoked, or is of the wrong kind."""


def issue(user: User, *, ip: str | None, agent: str, own: bool = False) -> Pair:
    """Begin a session, with tokens of our own form or of the legacy system's."""
    life = lifetimes(user)[1] if own else LEGACY_REFRESH
    session = Session.objects.create(
        user=user, session_id=uuid.uuid4().hex, device_info={"jti": uuid.uuid4().hex}, ip_address=ip or None,
        user_agent=agent[:500], expires_at=timezone.now() + life,
    )  # fmt: skip
    return _pair(user, session, own=own)


def lifetimes(user: User) -> tuple[timedelta, timedelta]:
    """Of our own access and refresh tokens, by the tenant's settings."""
    settings_ = TenantSettings.objects.filter(pk=user.tenant_id).first() or TenantSettings()
    access = timedelta(minutes=settings_.access_token_ttl_minutes or 15)
    return min(access, LONGEST_ACCESS), timedelta(days=settings_.refresh_token_ttl_days or 30)


def refresh(token: str, *, ip: str | None, agent: str) -> tuple[User, Pair]:
    """The next pair of the same session and form. A token used twice ends its whole family. Raises BadToken."""
    claims = decode(token, kind="refresh")
    user, own = _user(claims), "iss" in claims
    if "sid" not in claims:
        if _before_its_password(user, claims, LEGACY_REFRESH):
            raise BadToken
        return user, _adopt(token, claims, user, ip=ip, agent=agent)
    reused = False
    with transaction.atomic(using="iam"):
        session = Session.objects.select_for_update().filter(session_id=claims["sid"], user=user).first()
        if session is None or not session.is_active or not user.is_active:
            raise BadToken
        reused = (session.device_info or {}).get("jti") != claims.get("jti")
        session.is_active = not reused
        session.device_info = {"jti": uuid.uuid4().hex}
        session.last_activity = timezone.now()
        session.save()
    if reused:
        raise BadToken
    return user, _pair(user, session, own=own)


def _adopt(token: str, claims: Mapping[str, Any], user: User, *, ip: str | None, agent: str) -> Pair:
    """A refresh token of the legacy system begins a session here: once, and its reuse ends that session."""
    session_id = _digest(token)
    try:
        with transaction.atomic(using="iam"):
            session = Session.objects.create(
                user=user, session_id=session_id, device_info={"jti": uuid.uuid4().hex}, ip_address=ip or None,
                user_agent=agent[:500], expires_at=timezone.now() + LEGACY_REFRESH,
            )  # fmt: skip
    except IntegrityError:
        Session.objects.filter(session_id=session_id).update(is_active=False)
        raise BadToken from None
    return _pair(user, session, own=False)


def authenticate(token: str) -> Bearer:
    """Whom an access token speaks for, whether active or not. Raises BadToken."""
    claims = decode(token, kind="access")
    user = _user(claims, session=claims.get("sid"), token=token)
    if "sid" not in claims and _before_its_password(user, claims, LEGACY_ACCESS):
        raise BadToken
    return Bearer(user, claims)


def about(token: str) -> About:
    """Whom a token names, for routing; empty when it names none or is not ours to read."""
    try:
        claims = _verified(token)
    except BadToken:
        return About()
    return About(str(claims.get("tenant_id") or ""), str(claims.get("user_id") or ""))


def revoke(token: str) -> None:
    """End the session behind an access token; one that legacy issued has none, and is remembered as ended. Raises BadToken."""
    claims = decode(token, kind="access")
    if "sid" in claims:
        Session.objects.filter(session_id=claims["sid"]).update(is_active=False)
        return
    ends = datetime.fromtimestamp(claims["exp"], UTC)
    ended = {"user": _user(claims), "is_active": False, "expires_at": ends}
    Session.objects.update_or_create(session_id=_digest(token), defaults=ended)


def revoked(token: str) -> bool:
    """Whether a token that names a session of ours was revoked: asked before legacy, which does not know, is."""
    try:
        sid = _verified(token).get("sid")
    except BadToken:
        return False  # not ours to judge
    return sid is not None and not Session.objects.filter(session_id=sid, is_active=True).exists()


def revoke_all(user: User) -> None:
    """End every session of the user, as after a change of password."""
    Session.objects.filter(user=user).update(is_active=False)


def sign(claims: dict[str, Any], life: timedelta) -> str:
    """A token of our own form."""
    now, key = int(time.time()), keys.signing()
    about = {"iss": settings.ISSUER, "iat": now, "exp": now + int(life.total_seconds())}
    return jwt.encode({"alg": keys.ALGORITHM, "typ": "JWT", "kid": key.kid}, claims | about, key, [keys.ALGORITHM])


def decode(token: str, *, kind: str) -> Mapping[str, Any]:
    """The claims of a good token of this kind: access or refresh. Raises BadToken."""
    claims = _verified(token)
    try:
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(dict(claims))
    except JoseError as error:
        raise BadToken from error
    if claims.get("type", "access") != kind:
        raise BadToken
    return claims


def _pair(user: User, session: Session, *, own: bool) -> Pair:
    about: dict[str, Any] = {"user_id": str(user.pk), "tenant_id": str(user.tenant_id), "sid": session.session_id}
    again = {"type": "refresh", "jti": (session.device_info or {})["jti"]}
    if own:
        about["sub"] = str(user.pk)
        access, longer = lifetimes(user)
        return Pair(sign(about, access), sign(about | again, longer), int(access.total_seconds()))
    about["sub"] = user.username or ""
    seconds = int(LEGACY_ACCESS.total_seconds())
    return Pair(_as_legacy(about, LEGACY_ACCESS), _as_legacy(about | again, LEGACY_REFRESH), seconds)


def _as_legacy(claims: dict[str, Any], life: timedelta) -> str:
    expires = int(time.time() + life.total_seconds())
    return jwt.encode(
        {"alg": "HS256", "typ": "JWT"}, claims | {"exp": expires}, _legacy_key(settings.LEGACY_JWT_SECRET), ["HS256"]
    )


def _verified(token: str) -> Mapping[str, Any]:
    try:
        if jws.extract_compact(token.encode()).headers().get("alg") == keys.ALGORITHM:
            claims: Mapping[str, Any] = jwt.decode(token, keys.verifying(), [keys.ALGORITHM]).claims
            issuer = settings.ISSUER
        else:
            claims, issuer = _of_legacy_form(token, settings.LEGACY_JWT_SECRET), None
    except (JoseError, ValueError, UnicodeError) as error:
        raise BadToken from error
    if claims.get("iss") != issuer:
        raise BadToken
    return claims


@cache
def _legacy_key(secret: str) -> OctKey:
    return OctKey.import_key(secret)


@lru_cache(4096)
def _of_legacy_form(token: str, secret: str) -> Mapping[str, Any]:
    """A signature that was good once is good for ever; whether the token has expired is asked each time."""
    return MappingProxyType(jwt.decode(token, _legacy_key(secret), ["HS256"]).claims)


def _before_its_password(user: User, claims: Mapping[str, Any], life: timedelta) -> bool:
    """Whether a token of legacy's, which has no session to end, is older than the user's password."""
    changed = user.last_password_change
    return changed is not None and datetime.fromtimestamp(claims["exp"], UTC) - life < changed


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _user(claims: Mapping[str, Any], *, session: str | None = None, token: str = "") -> User:
    """Raises BadToken; also when its session, or the token itself where it has none, was ended."""
    try:
        key = uuid.UUID(str(claims.get("user_id")))
    except ValueError:
        raise BadToken from None
    # Every request asks this: a statement that is composed once spares the ORM's work, which is most of a request's.
    users = User.objects.raw(_user_statement(), [key, session, _digest(token), session])
    user = next(iter(users), None)
    if user is None or str(user.tenant_id) != str(claims.get("tenant_id", user.tenant_id)):
        raise BadToken
    return user


@cache
def _user_statement() -> str:
    sessions = "SELECT FROM user_sessions AS s WHERE s.session_id = %s AND"
    return (
        f"SELECT {User.columns('u')} FROM users AS u WHERE u.id = %s AND CASE WHEN %s::text IS NULL"
        f" THEN NOT EXISTS ({sessions} NOT s.is_active) ELSE EXISTS ({sessions} s.user_id = u.id AND s.is_active) END"
    )
