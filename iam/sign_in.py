"""Signing in with a password, the same behind every door: same cost and same answer for every failure, one count of failures."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from limits import RateLimitItemPerMinute, storage, strategies

from flags import homes
from iam import passwords, totp
from iam.models import User

FAILURES, MINUTES = 10, 15
"""So many wrong passwords for one name in so long; then it is locked for everybody until they are forgotten."""
_CANDIDATES = 5
"""Users of one name in different tenants that a login without a tenant tries; beyond that it must name its tenant."""


class WrongCredentials(Exception):
    """Unknown, wrong, inactive or locked: nobody is told which."""


class CodeNeeded(Exception):
    """The password is right, and the user has enrolled for one-time codes."""


def sign_in(
    name: str,
    password: str,
    tenant: str = "",
    *,
    code: str | None = None,
    codes: bool = False,
    admit: Callable[[User], object] = bool,
) -> User:
    """The user behind a name (user name or e-mail, exactly as written) and password, in the tenant if one is named.

    With `codes`, users who enrolled must show a one-time code as well. Raises WrongCredentials, CodeNeeded, and whatever
    `admit` raises for a user who has shown who they are: before anything is written.
    """
    users = candidates(name, tenant)
    locked = not _limiter().test(_LIMIT, "sign-in", name, tenant)
    fitting = [user for user in users if user.has_password(password)]
    if not users:
        passwords.verify_as_legacy(password, None)
    # Two tenants, one name, one password: guessing would sign somebody into the wrong tenant.
    user = fitting[0] if len(fitting) == 1 else None
    if user is None or locked or not user.is_active or (user.account_locked_until or timezone.now()) > timezone.now():
        return _failed(name, tenant)
    if codes and totp.enrolled(user):
        if not code:
            raise CodeNeeded
        if not totp.verify(user, code):
            return _failed(name, tenant)
    admit(user)
    _limiter().clear(_LIMIT, "sign-in", name, tenant)
    _signed_in(user, password)
    return user


def candidates(name: str, tenant: str) -> list[User]:
    """The users a login may mean."""
    if "\0" in name:  # no text in PostgreSQL holds it
        return []
    users = User.objects.filter(Q(username=name) | Q(email=name))
    if tenant:
        try:
            users = users.filter(tenant_id=uuid.UUID(tenant))
        except ValueError:
            return []
    return list(users[:_CANDIDATES])


def identify(name: str, tenant: str) -> tuple[str, str]:
    """(tenant, user) that a login is about, for routing: ids, empty where several fit. Read again by `sign_in`, once
    routing has waited for a tenant that is being moved: its users may have changed meanwhile."""
    tenant = tenant.lower()
    users = candidates(name, tenant)
    user = str(users[0].pk) if len(users) == 1 else ""
    tenants = {str(one.tenant_id) for one in users}
    if not tenant and tenants and len({homes.of(id).home for id in tenants}) == 1:
        tenant = str(users[0].tenant_id)
    return tenant, user


def too_often(ip: str) -> bool:
    """Whether one client has called more than AUTH_CALLS_A_MINUTE times, through any door."""
    if not settings.AUTH_CALLS_A_MINUTE:
        return False
    # The name is kept from when only legacy endpoints counted: counters go on through an upgrade.
    return not _limiter().hit(RateLimitItemPerMinute(settings.AUTH_CALLS_A_MINUTE), "legacy-auth", ip)


def _failed(name: str, tenant: str) -> User:
    _limiter().hit(_LIMIT, "sign-in", name, tenant)
    raise WrongCredentials


def _signed_in(user: User, password: str) -> None:
    now = timezone.now()
    changed = {"last_login": now, "last_login_at": now}
    if homes.of(str(user.tenant_id)).final and passwords.outdated(user.hashed_password):
        changed["hashed_password"] = passwords.hashed(password, final=True)  # type: ignore[assignment]
    User.objects.filter(pk=user.pk).update(**changed)


_LIMIT = RateLimitItemPerMinute(FAILURES, MINUTES)


def _limiter() -> strategies.FixedWindowRateLimiter:
    return _counting(settings.REDIS_URL)


@cache
def _counting(url: str) -> strategies.FixedWindowRateLimiter:
    """Every process counts in Redis."""
    return strategies.FixedWindowRateLimiter(storage.storage_from_string(url))
