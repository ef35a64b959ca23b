"""Access and refresh tokens, and the sessions behind them that can be revoked.

Those of the legacy form are for its clients, our own (iam/forms.py) for the new API. `sub` of the legacy form is the
user name, but users are looked up by `user_id`: two tenants may each have a bob. Tokens that the legacy system issued carry
no `sid`; they go on working until they expire. A refresh token of the legacy form is good while it is the one in
`users.refresh_token`, as in the legacy system: the column follows its user to and fro, whoever issued the token.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from iam import forms, policy
from iam.bearers import (
    LEGACY_ACCESS,
    LEGACY_REFRESH,
    PASSWORD_ONLY,
    BadToken,
    Bearer,
    decode,
    digest,
    issued,
    user_of,
)
from iam.models import Session, User

WEAK, STRONG = "aal1", "aal2"


@dataclass(frozen=True)
class Pair:
    """What a client gets for a login or a refresh; `expires_in` is of the access token, in seconds."""

    access: str
    refresh: str
    expires_in: int


class Inactive(BadToken):
    """The token is good, its user is off."""


def issue(
    user: User,
    *,
    ip: str | None,
    agent: str,
    own: bool = False,
    amr: Sequence[str] = PASSWORD_ONLY,
    capped: bool = False,
) -> Pair:
    """Begin a session, with tokens of our own form or of the legacy system's, these `capped` if the tenant's own limit counts."""
    life = policy.of(user.tenant_id).refresh if own else LEGACY_REFRESH
    with transaction.atomic(using="iam"):
        pair = _pair(user, begin(user, ip=ip, agent=agent, life=life, amr=amr), own=own, capped=capped)
        if not own:
            _remember(user, pair.refresh)
    return pair


def begin(user: User, *, ip: str | None, agent: str, life: timedelta, amr: Sequence[str]) -> Session:
    """A new session of the user, who has just shown who they are.

    Raises BadToken when the password or the account has changed since the user was read.
    """
    now = timezone.now()
    won = {"jti": uuid.uuid4().hex, "amr": list(amr), "auth_time": now.timestamp()}
    with transaction.atomic(using="iam"):
        # Locked, or a change that is under way would not see the new session, and leave it.
        locked = User.objects.select_for_update(no_key=True)
        if locked.filter(pk=user.pk, hashed_password=user.hashed_password, is_active=True).first() is None:
            raise BadToken
        return Session.objects.create(
            user=user, session_id=uuid.uuid4().hex, device_info=won, ip_address=ip or None,
            user_agent=agent[:500], expires_at=now + life,
        )  # fmt: skip


def strengthen(bearer: Bearer, method: str) -> Pair:
    """The next pair of the bearer's session, which has now been shown more. Raises BadToken without a session."""
    session = Session.objects.filter(session_id=bearer.claims.get("sid", ""), is_active=True).first()
    if session is None:
        raise BadToken
    session.strengthen(method)
    return _pair(bearer.user, session, own=True)


def refresh(
    token: str, *, ip: str | None, agent: str, admit: Callable[[Bearer], object] = bool, capped: bool = False
) -> tuple[User, Pair]:
    """The next pair of the same session and form. One of our own form that is used twice ends its whole family.

    Raises BadToken (Inactive), and whatever `admit` raises for whom it speaks for, before anything is written.
    """
    claims = decode(token, kind="refresh")
    user = user_of(claims, token=token)
    if not user.is_active:
        raise Inactive
    admit(Bearer(user, claims))
    if "iss" not in claims:
        return user, _refresh_as_legacy(token, claims, user, ip=ip, agent=agent, capped=capped)
    reused = False
    with transaction.atomic(using="iam"):
        session = Session.objects.select_for_update().filter(session_id=claims["sid"], user=user).first()
        now = timezone.now()
        if session is None or not session.is_active or session.expires_at <= now:
            raise BadToken
        before = session.device_info or {}
        reused = before.get("jti") != claims.get("jti")
        session.is_active = not reused
        session.device_info = before | {"jti": uuid.uuid4().hex}
        session.last_activity = now
        session.save()
    if reused:
        raise BadToken
    return user, _pair(user, session, own=True)


def _refresh_as_legacy(
    token: str, claims: Mapping[str, Any], user: User, *, ip: str | None, agent: str, capped: bool
) -> Pair:
    """The one in the column is good, and replaced; one of the legacy system's own begins a session here."""
    with transaction.atomic(using="iam"):
        kept = User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("refresh_token", flat=True)
        if not hmac.compare_digest((kept.first() or "").encode(), token.encode()):
            raise BadToken
        if "sid" in claims:
            now = timezone.now()
            going_on = Session.objects.filter(session_id=claims["sid"], user=user, is_active=True, expires_at__gt=now)
            # Each lives seven days, and so does what it belongs to.
            going_on.update(last_activity=now, expires_at=now + LEGACY_REFRESH)
            session = going_on.first()
            if session is None:
                raise BadToken
            session.renew()
        else:
            session = begin(user, ip=ip, agent=agent, life=LEGACY_REFRESH, amr=PASSWORD_ONLY)
        pair = _pair(user, session, own=False, capped=capped)
        _remember(user, pair.refresh)
    return pair


def _remember(user: User, refresh: str | None) -> None:
    """As the legacy system does: one for each user, the last."""
    User.objects.filter(pk=user.pk).update(refresh_token=refresh, updated_at=timezone.now())


@contextmanager
def keeping(token: str) -> Iterator[None]:
    """A transaction in which a change of the password does not end what this access token came with. Raises BadToken."""
    claims = decode(token, kind="access")
    session, at = claims.get("sid", ""), "" if "sid" in claims else issued(claims).isoformat()
    with transaction.atomic(using="iam"), connections["iam"].cursor() as cursor:
        cursor.execute(_KEEPING, [session, at])
        yield
        cursor.execute(_KEEPING, ["", ""])


_KEEPING = "SELECT set_config('iam.kept_session', %s, true), set_config('iam.kept_at', %s, true)"
"""Heeded by the trigger that ends sessions (iam/schema/008)."""


def revoke(token: str) -> None:
    """End the session behind an access token; one that legacy issued has none, and is remembered as ended. Raises BadToken.

    Where the token has the legacy form, so does the refresh token that is good no more.
    """
    claims = decode(token, kind="access")
    user = user_of(claims, token=token)
    if "iss" not in claims:
        _remember(user, None)
    if "sid" in claims:
        Session.objects.filter(session_id=claims["sid"]).update(is_active=False)
        return
    ends = datetime.fromtimestamp(claims["exp"], UTC)
    ended = {"user": user, "is_active": False, "expires_at": ends}
    Session.objects.update_or_create(session_id=digest(token), defaults=ended)


def _pair(user: User, session: Session, *, own: bool, capped: bool = False) -> Pair:
    about: dict[str, Any] = {"user_id": str(user.pk), "tenant_id": str(user.tenant_id), "sid": session.session_id}
    again = {"type": "refresh", "jti": (session.device_info or {})["jti"]}
    if own:
        about |= {"sub": str(user.pk), **how(session.amr, session.auth_time)}
        left = session.expires_at - timezone.now()
        access = min(policy.of(user.tenant_id).access, left)
        return Pair(forms.signed(about, access), forms.signed(about | again, left), int(access.total_seconds()))
    about["sub"] = user.username or ""
    limit = policy.of(user.tenant_id).capabilities.own_longest("access") if capped else None
    access = min(LEGACY_ACCESS, limit or LEGACY_ACCESS)
    if "otp" in session.amr:
        about["amr"] = session.amr
    seconds = int(access.total_seconds())
    return Pair(forms.signed_as_legacy(about, access), forms.signed_as_legacy(about | again, LEGACY_REFRESH), seconds)


def how(amr: Sequence[str], at: datetime) -> dict[str, Any]:
    """The claims that say how and when a user showed who they are: OpenID Connect Core §2, levels of NIST SP 800-63B."""
    return {"amr": list(amr), "acr": STRONG if "otp" in amr else WEAK, "auth_time": int(at.timestamp())}
