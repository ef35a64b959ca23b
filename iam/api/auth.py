"""Signing in and out, and one's own profile."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status

from iam import bearers, policy, throttles, tokens, totp
from iam.api.access import Token, at_home, caller, tenant_off
from iam.api.problems import Problem, ProblemOut
from iam.models import User
from iam.permissions import allowed, roles
from iam.sign_in import (
    Asked,
    CodeNeeded,
    PasswordDue,
    Refused,
    WeakPassword,
    WrongCredentials,
    sign_in,
)

router = Router(tags=["sign-in"])
me = Router(tags=["profile"], auth=Token())
ERRORS = frozenset({400, 401, 403, 404, 409, 422, 429, 503})


class LoginIn(Schema):
    """`username` is a user name or an e-mail; `code` the one-time code of users who enrolled; `new_password` takes the
    place of one that has expired."""

    username: str = Field(max_length=255)
    password: str = Field(max_length=1024)
    tenant_id: uuid.UUID | None = None
    code: str | None = Field(None, max_length=12)
    new_password: str | None = Field(None, max_length=1024)


class RefreshIn(Schema):
    refresh_token: str = Field(max_length=8192)


class Me(Schema):
    id: uuid.UUID
    tenant_id: uuid.UUID
    username: str | None
    email: str | None
    full_name: str | None
    avatar_url: str | None
    bio: str | None
    phone_number: str | None
    is_active: bool | None
    is_superuser: bool | None
    is_verified: bool | None
    mfa_enabled: bool | None
    created_at: datetime | None
    updated_at: datetime | None
    last_login: datetime | None


class ProfileIn(Schema):
    full_name: str | None = Field(None, max_length=255)
    avatar_url: str | None = Field(None, max_length=500)
    bio: str | None = Field(None, max_length=10_000)
    phone_number: str | None = Field(None, max_length=50)


class PasswordIn(Schema):
    current_password: str = Field(max_length=1024)
    new_password: str = Field(max_length=1024)


class Tokens(Schema):
    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 - RFC 6750's name for the kind
    expires_in: int


class SignedIn(Tokens):
    user: Me
    roles: list[str]
    permissions: list[str]


@router.post("/login", response={200: SignedIn, ERRORS: ProblemOut}, auth=None)
def login(request: HttpRequest, asked: LoginIn) -> dict[str, Any]:
    """Sign in with a password, and a one-time code where the user has enrolled for them."""
    _not_too_often(request)
    wanted = Asked(
        asked.username, asked.password, str(asked.tenant_id or ""), ip=_ip(request), code=asked.code,
        new_password=asked.new_password,
    )  # fmt: skip
    try:
        found = sign_in(wanted, codes=True, admit=lambda user: at_home(str(user.tenant_id), request))
    except WrongCredentials:
        raise _wrong_credentials() from None
    except Refused as refused:
        raise _problem(refused) from None
    user = found.user
    try:
        pair = tokens.issue(user, ip=_ip(request), agent=request.headers.get("User-Agent", ""), own=True, amr=found.amr)
    except bearers.BadToken:  # the password has changed meanwhile
        raise _wrong_credentials() from None
    return _tokens(pair) | {"user": user, "roles": roles(user), "permissions": sorted(allowed(user))}


def _wrong_credentials() -> Problem:
    return Problem(401, "wrong-credentials", "The user name, password or code is wrong.")


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, CodeNeeded):
        return Problem(401, "code-needed", "Sign in again with the one-time code in `code`.")
    if isinstance(refused, PasswordDue):
        sentence = "The password must be changed: sign in again with a new one in `new_password`."
        return Problem(403, "password-due", sentence)
    if isinstance(refused, WeakPassword):
        return Problem(422, "weak-password", str(refused))
    return tenant_off()


@router.post("/refresh", response={200: Tokens, ERRORS: ProblemOut}, auth=None)
def refresh(request: HttpRequest, asked: RefreshIn) -> dict[str, Any]:
    """The next pair of tokens. Each refresh token is good once; using one again ends the session."""
    _not_too_often(request)
    try:
        at_home(str(bearers.decode(asked.refresh_token, kind="refresh").get("tenant_id", "")), request)
        _, pair = tokens.refresh(
            asked.refresh_token,
            ip=_ip(request),
            agent=request.headers.get("User-Agent", ""),
            admit=_may_go_on,
            capped=True,
        )
    except bearers.BadToken:
        raise Problem(401, "bad-refresh-token", "The refresh token is not good any more: sign in again.") from None
    return _tokens(pair)


def _may_go_on(bearer: bearers.Bearer) -> None:
    """Raises Problem where the user must do something else first than refresh."""
    if not policy.of(bearer.user.tenant_id).active:
        raise tenant_off()
    if policy.password_due(bearer.user):
        raise _problem(PasswordDue())


@router.post("/logout", response={204: None, ERRORS: ProblemOut}, auth=Token(weak=True))
def logout(request: HttpRequest) -> Status:
    """End this session; what a client's token may do ends at /oauth/revoke."""
    if request.auth.scopes is not None:  # type: ignore[attr-defined]
        raise Problem(403, "forbidden", "A client's token is revoked at /oauth/revoke.")
    tokens.revoke(request.headers["Authorization"].partition(" ")[2].strip())
    return Status(204, None)


@me.get("", response={200: Me, ERRORS: ProblemOut})
def read_me(request: HttpRequest) -> User:
    return caller(request, "profile:read")


@me.patch("", response={200: Me, ERRORS: ProblemOut})
def change_me(request: HttpRequest, asked: ProfileIn) -> User:
    user = caller(request, "profile:write")
    for name, value in asked.dict(exclude_unset=True).items():
        setattr(user, name, value)
    user.updated_at = timezone.now()
    user.save(update_fields=[*asked.dict(exclude_unset=True), "updated_at"])
    return user


@me.post("/password", response={204: None, ERRORS: ProblemOut})
def change_password(request: HttpRequest, asked: PasswordIn) -> Status:
    """Change one's password; every session ends."""
    user = caller(request, "profile:write")
    _not_too_often(request)
    _show_password(user, asked.current_password)
    set_password(user, asked.new_password)
    return Status(204, None)


def _show_password(user: User, password: str) -> None:
    """Raises Problem unless it is the user's; guesses are bounded."""
    if throttles.too_many_guesses(str(user.pk)):
        raise Problem(429, "too-often", "Too many wrong passwords; wait a while.", headers={"Retry-After": "900"})
    if not user.has_password(password):
        throttles.guessed(str(user.pk))
        raise Problem(400, "wrong-password", "The current password is wrong.")


def set_password(user: User, password: str) -> None:
    """Set and save. Raises Problem when the tenant wants a better one."""
    if weakness := policy.of(user.tenant_id).weakness(password, user):
        raise Problem(422, "weak-password", weakness)
    policy.set_password(user, password)
    # Only these: what else was read along may have been changed meanwhile, and a hash takes its time.
    user.save(update_fields=None if user._state.adding else User.PASSWORD_FIELDS)


second_factor = Router(tags=["second factor"], auth=Token(weak=True))


class Enrolment(Schema):
    """`address` is the secret for an authenticator, which shows it as a QR code or takes it by hand."""

    secret: str
    address: str


class EnrolIn(Schema):
    """A stolen token is not enough to enrol with."""

    current_password: str = Field(max_length=1024)


class CodeIn(Schema):
    code: str = Field(max_length=12)


@second_factor.post("", response={200: Enrolment, ERRORS: ProblemOut})
def enrol(request: HttpRequest, asked: EnrolIn) -> dict[str, Any]:
    """Begin to enrol for one-time codes. Nothing changes until a code of the new secret is confirmed."""
    bearer = _own_session(request)
    user = bearer.user
    _codes_on(user)
    if totp.enrolled(user):
        raise Problem(409, "enrolled", "You have enrolled already: an administrator can take that back.")
    _not_too_often(request)
    _show_password(user, asked.current_password)
    secret = totp.enrol(user, bearer.claims["sid"])
    return {"secret": secret, "address": totp.address(user, secret)}


@second_factor.post("/confirm", response={200: Tokens, ERRORS: ProblemOut})
def confirm(request: HttpRequest, asked: CodeIn) -> dict[str, Any]:
    """Confirm the new secret with a code of it. The tokens in the answer are good for everything."""
    bearer = _own_session(request)
    _not_too_often(request)
    _codes_on(bearer.user)
    if totp.enrolled(bearer.user) or not totp.confirmed(bearer.user, bearer.claims["sid"], asked.code):
        raise Problem(400, "wrong-code", "This is no code of the secret that waits: it waits for ten minutes.")
    return _tokens(tokens.strengthen(bearer, "otp"))


def _codes_on(user: User) -> None:
    """Raises Problem."""
    if not policy.of(user.tenant_id).capabilities.codes:
        raise Problem(403, "switched-off", "One-time codes are switched off for your organization.")


def _own_session(request: HttpRequest) -> bearers.Bearer:
    """Raises Problem for the token of a client, and for one that the legacy system issued: they have no session here."""
    bearer: bearers.Bearer = request.auth  # type: ignore[attr-defined]
    if "sid" not in bearer.claims:
        raise Problem(403, "forbidden", "Only the user can do this, in a session of their own: sign in again.")
    return bearer


def _tokens(pair: tokens.Pair) -> dict[str, Any]:
    return {"access_token": pair.access, "refresh_token": pair.refresh, "expires_in": pair.expires_in}


def _ip(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _not_too_often(request: HttpRequest) -> None:
    if throttles.too_often(_ip(request)):
        raise Problem(429, "too-often", "Too many calls; wait a minute.", headers={"Retry-After": "60"})
