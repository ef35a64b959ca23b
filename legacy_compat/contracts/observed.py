"""The profile of the released service, as recorded by calling it: IAM data in, answers out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from iam.licences import Judgement, Terms, Verdict
from iam.models import License, Tenant, User
from iam.tokens import Pair
from legacy_compat.contracts.paging import Skipping, UsersAsked
from legacy_compat.contracts.protocol import Credentials
from legacy_compat.contracts.shapes import Answer, moment, text

WRONG = Answer(401, {"detail": "Incorrect username or password"}, {"WWW-Authenticate": "Bearer"})
NOT_AUTHENTICATED = Answer(401, {"detail": "Not authenticated"}, {"WWW-Authenticate": "Bearer"})
BAD_TOKEN = Answer(401, {"detail": "Could not validate credentials"}, {"WWW-Authenticate": "Bearer"})
BAD_REFRESH = Answer(401, {"detail": "Invalid refresh token"})
INACTIVE = Answer(400, {"detail": "Inactive user"})
FORBIDDEN = Answer(403, {"detail": "Not enough permissions"})
NOT_FOUND = Answer(404, {"detail": "Not Found"})
NO_USER = Answer(404, {"detail": "User not found"})
NO_TENANT = Answer(404, {"detail": "Tenant not found"})
NO_LICENCE = Answer(404, {"detail": "License not found"})
LOGGED_OUT = Answer(200, {"message": "Successfully logged out"})
CHANGED = Answer(200, {"message": "Password changed successfully"})
WRONG_CURRENT = Answer(400, {"detail": "Current password is incorrect"})
OWN_ACCOUNT = Answer(400, {"detail": "Cannot delete your own account"})
USER_DELETED = Answer(200, {"message": "User deleted successfully"})
SLUG_TAKEN = Answer(400, {"detail": "Tenant slug already exists"})
UNAVAILABLE = Answer(503, {"detail": "Service temporarily unavailable"}, {"Retry-After": "5"})
BAD_CREDENTIALS = Answer(400, {"detail": "Invalid credentials format"})
ABSENT = frozenset({"users"})
USERS: UsersAsked = Skipping
USER_FIELDS: tuple[str, ...] = (
    "tenant_id", "email", "username", "full_name", "is_active", "is_superuser", "is_verified", "oauth_provider", "oauth_id",
    "sso_provider", "sso_id", "avatar_url", "bio", "phone_number", "id", "created_at", "updated_at", "last_login",
)  # fmt: skip


def credentials(content_type: str, form: Mapping[str, Any]) -> Credentials | Answer:
    """Out of a form whose field `credentials` is base64 of name:password. What is not of its alphabet is passed over, as the
    released service does: both must read the same name, or a client could choose who judges it."""
    fields = ("credentials", "tenant_id")
    if not content_type.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return missing(*fields)
    if absent := [name for name in fields if name not in form]:
        return missing(*absent)
    try:
        user, separator, password = base64.b64decode(form["credentials"]).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        return BAD_CREDENTIALS
    return Credentials(user, password, form["tenant_id"]) if separator else BAD_CREDENTIALS


def missing(*names: str) -> Answer:
    """422 with one entry for each missing field, in the order given."""
    return Answer(
        422,
        {"detail": [{"type": "missing", "loc": ["body", n], "msg": "Field required", "input": None} for n in names]},
    )


def tokens(pair: Pair, user: User | None) -> Answer:
    """A login's or a refresh's answer; the released service never says who it was."""
    return Answer(
        200,
        {
            "access_token": pair.access, "refresh_token": pair.refresh, "token_type": "bearer", "expires_in": None,
            "scope": None, "id_token": None,
        },
    )  # fmt: skip


def user(user: Any) -> dict[str, Any]:
    return {
        "tenant_id": str(user.tenant_id), "email": user.email, "username": user.username,
        "full_name": user.full_name, "is_active": user.is_active, "is_superuser": user.is_superuser,
        "is_verified": user.is_verified, "oauth_provider": user.oauth_provider, "oauth_id": user.oauth_id,
        "sso_provider": user.sso_provider, "sso_id": user.sso_id, "avatar_url": user.avatar_url,
        "bio": user.bio, "phone_number": user.phone_number, "id": str(user.id),
        "created_at": moment(user.created_at), "updated_at": moment(user.updated_at),
        "last_login": moment(user.last_login),
    }  # fmt: skip


def users(users: Sequence[Any], total: int, first: int, size: int) -> Answer:
    return Answer(200, [user(one) for one in users])


def tenant(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name, "slug": tenant.slug, "is_active": tenant.is_active, "max_licenses": tenant.max_licenses,
        "id": str(tenant.pk), "created_at": moment(tenant.created_at),
    }  # fmt: skip


def licence(licence: License, terms: Terms) -> dict[str, Any]:
    """As a validation shows it: its key is cut."""
    key = licence.license_key or ""
    return {
        "id": str(licence.pk), "license_key": key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}...",
        "tenant_id": text(licence.tenant_id), "template_id": licence.template_id,
        "linked_subscription": licence.linked_subscription, "issued_at": _offset(terms.issued_at),
        "validity_days": terms.validity_days, "expires_at": _offset(terms.ends), "payload": licence.payload,
    }  # fmt: skip


def _offset(value: datetime | None) -> str | None:
    """Here alone the service wrote +00:00."""
    return None if value is None else value.astimezone(UTC).isoformat()


def validation(wanted: License | None, verdict: Verdict) -> Answer:
    judgement, terms = verdict
    if wanted is None or terms is None:
        return NO_LICENCE
    if judgement is Judgement.VALID:
        return Answer(200, {"valid": True, "license": licence(wanted, terms), "message": "License is valid and active"})
    if judgement is Judgement.EXPIRED:
        return _not_valid("License has expired", f"Expired on {terms.ends:%Y-%m-%d}")
    details = {
        Judgement.INACTIVE: "Associated tenant is inactive or not found",
        Judgement.SUBSCRIPTION: f"Linked subscription is {terms.subscription.status if terms.subscription else ''}",
        Judgement.UNJUDGED: "Linked subscription is unknown"
        if wanted.linked_subscription is not None
        else "It has no dates",
        Judgement.EARLY: f"Not valid before {terms.issued_at:%Y-%m-%d}" if terms.issued_at else "",
    }
    return _not_valid("License is inactive", details[judgement])


def _not_valid(error: str, details: str) -> Answer:
    return Answer(200, {"valid": False, "error": error, "details": details})


_LONGEST_KEY = 50
