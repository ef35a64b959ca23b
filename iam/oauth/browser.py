"""Who is signed in in a browser. The console's own sign-in is another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from iam import policy, tokens
from iam.models import Session, User

_SESSION = "iam_session"


def session_of(request: HttpRequest) -> Session | None:
    """The session behind this browser, while it is good and its user and tenant are active."""
    key = request.session.get(_SESSION)
    if not key:
        return None
    good: Any = {
        "is_active": True,
        "expires_at__gt": timezone.now(),
        "user__is_active": True,
        "user__tenant__is_active": True,
    }
    return Session.objects.select_related("user").filter(session_id=key, **good).first()


def signed_in(request: HttpRequest) -> User | None:
    """The user, while they are active."""
    session = session_of(request)
    return session.user if session else None


def strong_enough(session: Session) -> bool:
    """Whether the user has shown as much as they or their tenant ask for."""
    return policy.of(session.user.tenant_id).enough(session.user, session.amr)


def remember(request: HttpRequest, user: User, amr: Sequence[str]) -> None:
    """The browser is this user's from now on, under a new session key; what was theirs before ends."""
    forget(request)
    request.session.cycle_key()
    made = tokens.begin(
        user, ip=request.META.get("REMOTE_ADDR"), agent=request.headers.get("User-Agent", ""),
        life=policy.of(user.tenant_id).refresh, amr=amr,
    )  # fmt: skip
    request.session[_SESSION] = made.session_id


def forget(request: HttpRequest) -> None:
    """End the browser's session."""
    if key := request.session.pop(_SESSION, None):
        Session.objects.filter(session_id=key).update(is_active=False)


def safe_next(request: HttpRequest, default: str) -> str:
    """Where to go afterwards: an address of ours, else the default."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted.startswith("/") and ours else default
