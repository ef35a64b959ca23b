"""Signing in and out, and one's own profile."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status

from iam import tokens, totp
from iam.api.access import Token, at_home, caller
from iam.api.problems import Problem, ProblemOut
from iam.models import TenantSettings, User
from iam.permissions import allowed, roles
from iam.sign_in import CodeNeeded, WrongCredentials, sign_in, too_often

router = Router(tags=["sign-in"])
me = Router(tags=["profile"], auth=Token())
ERRORS = frozenset({400, 401, 403, 404, 409, 422, 429, 503})


class LoginIn(Schema):
    """`username` is a user name or an e-mail; `code` the one-time code of users who enrolled."""

    username: str = Field(max_length=255)
    password: str = Field(max_length=1024)
    tenant_id: uuid.UUID | None = None
    code: str | None = Field(None, max_length=12)


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
    try:
        tenant = str(asked.tenant_id or "")
        user = sign_in(
            asked.username, asked.password, tenant, code=asked.code, codes=True,
            admit=lambda user: at_home(str(user.tenant_id), request),
        )  # fmt: skip
    except WrongCredentials:
        raise Problem(401, "wrong-credentials", "The user name, password or code is wrong.") from None
    except CodeNeeded:
        raise Problem(401, "code-needed", "Sign in again with the one-time code in `code`.") from None
    except totp.Unreadable:
        raise Problem(503, "codes-unavailable", "One-time codes cannot be checked: tell the operators.") from None
    pair = tokens.issue(user, ip=_ip(request), agent=request.headers.get("User-Agent", ""), own=True)
    return _tokens(pair) | {"user": user, "roles": roles(user), "permissions": sorted(allowed(user))}


@router.post("/refresh", response={200: Tokens, ERRORS: ProblemOut}, auth=None)
def refresh(request: HttpRequest, asked: RefreshIn) -> dict[str, Any]:
    """The next pair of tokens. Each refresh token is good once; using one again ends the session."""
    _not_too_often(request)
    try:
        at_home(str(tokens.decode(asked.refresh_token, kind="refresh").get("tenant_id", "")), request)
        _, pair = tokens.refresh(asked.refresh_token, ip=_ip(request), agent=request.headers.get("User-Agent", ""))
    except tokens.BadToken:
        raise Problem(401, "bad-refresh-token", "The refresh token is not good any more: sign in again.") from None
    return _tokens(pair)


@router.post("/logout", response={204: None, ERRORS: ProblemOut}, auth=Token())
def logout(request: HttpRequest) -> Status:
    """End this session."""
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
    if not user.has_password(asked.current_password):
        raise Problem(400, "wrong-password", "The current password is wrong.")
    set_password(user, asked.new_password)
    tokens.revoke_all(user)
    return Status(204, None)


def set_password(user: User, password: str) -> None:
    """Set and save. Raises Problem when it is shorter than the tenant wants."""
    found = TenantSettings.objects.filter(pk=user.tenant_id).first() or TenantSettings()
    least = found.min_password_length or 12
    if len(password) < least:
        raise Problem(422, "weak-password", f"A password of this tenant has at least {least} characters.")
    user.set_password(password)
    user.save()


def _tokens(pair: tokens.Pair) -> dict[str, Any]:
    return {"access_token": pair.access, "refresh_token": pair.refresh, "expires_in": pair.expires_in}


def _ip(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _not_too_often(request: HttpRequest) -> None:
    if too_often(_ip(request)):
        raise Problem(429, "too-often", "Too many calls; wait a minute.", headers={"Retry-After": "60"})
