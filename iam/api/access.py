"""Who is asking, and whether they may."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security import HttpBearer

from flags import homes
from flags.models import TenantHome
from iam import bearers, policy, throttles, tokens, totp
from iam.api.problems import Problem
from iam.models import User
from iam.oauth.models import AccessToken
from iam.permissions import powers, subject

_SAFE = ("GET", "HEAD", "OPTIONS")


class Token(HttpBearer):
    """The access token of a user's session, of our own form or the legacy system's, or of an OAuth client that acts for them.

    One that was won with a password alone, where more is due, is good only for a `weak` door.
    """

    def __init__(self, *, weak: bool = False) -> None:
        super().__init__()
        self.weak = weak

    def authenticate(self, request: HttpRequest, token: str) -> bearers.Bearer | None:
        try:
            # Ours are signed; those of clients are random, and have no dots.
            bearer = bearers.authenticate(token) if "." in token else _of_client(token)
        except bearers.BadToken:
            return None
        if bearer is None or not bearer.user.is_active:
            return None
        at_home(str(bearer.user.tenant_id), request)
        _obey(policy.of(bearer.user.tenant_id), bearer, request, weak=self.weak)
        request.flag_subject = subject(bearer.user)  # type: ignore[attr-defined]
        return bearer


def _obey(rules: policy.Policy, bearer: bearers.Bearer, request: HttpRequest, *, weak: bool) -> None:
    """Raises Problem where the tenant's policy forbids the call."""
    user = bearer.user
    if not rules.active:
        raise tenant_off()
    calls, seconds = rules.settings.rate_limit_requests, rules.settings.rate_limit_window_seconds
    write = request.method not in _SAFE
    if calls and seconds and throttles.over_limit(str(user.pk), calls, seconds, write=write):
        sentence = f"Your organization allows {calls} calls in {seconds} seconds; wait a while."
        raise Problem(429, "too-often", sentence, headers={"Retry-After": str(seconds)})
    if not weak and not rules.enough(user, bearer.amr):
        raise _step_up(user, rules)


def tenant_off() -> Problem:
    return Problem(403, "tenant-off", "Your organization has been switched off: ask its administrators.")


def _step_up(user: User, rules: policy.Policy) -> Problem:
    """RFC 9470: what to do for a token that is strong enough."""
    challenge = f'Bearer error="insufficient_user_authentication", acr_values="{tokens.STRONG}"'
    headers = {"WWW-Authenticate": challenge}
    if not rules.capabilities.codes:
        todo = "One-time codes are switched off: ask its administrators."
        return Problem(401, "step-up-needed", f"Your organization wants a second factor. {todo}", headers=headers)
    if totp.enrolled(user):
        todo = "Sign in again at /api/v1/auth/login with the one-time code in `code`."
        return Problem(401, "step-up-needed", f"A password alone is not enough. {todo}", headers=headers)
    todo = "Enrol for one-time codes at /api/v1/me/mfa."
    return Problem(401, "enrolment-needed", f"Your organization wants a second factor. {todo}", headers=headers)


def _of_client(token: str) -> bearers.Bearer | None:
    access_token = AccessToken.of_user(token)
    return (
        bearers.Bearer(access_token.user, {"scope": access_token.get_scope(), "amr": access_token.amr or ()})
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
    if permission not in may(request):
        raise Problem(403, "forbidden", f"This needs the permission {permission}.")
    user: User = request.auth.user  # type: ignore[attr-defined]
    return user


def may(request: HttpRequest) -> frozenset[str]:
    """What the caller may do: the user's powers, within the scopes of a client that acts for them."""
    bearer: bearers.Bearer = request.auth  # type: ignore[attr-defined]
    mine = powers(bearer.user)
    return mine if bearer.scopes is None else mine & bearer.scopes


def within(request: HttpRequest, wanted: frozenset[str] | set[str], what: str) -> None:
    """Raises Problem unless the caller has all that is wanted: nobody grants, removes or touches what exceeds themselves."""
    if beyond := wanted - may(request):
        names = ", ".join(sorted(beyond))
        raise Problem(403, "exceeds-yours", f"{what} has permissions that you do not have: {names}.")
