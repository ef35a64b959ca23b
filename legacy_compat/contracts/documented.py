"""The profile of the strategy document. What it does not describe, the released service's answers stand in for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iam.licences import Verdict
from iam.models import License, Tenant, User
from iam.tokens import Pair
from legacy_compat.contracts import observed
from legacy_compat.contracts.observed import (
    BAD_REFRESH,
    BAD_TOKEN,
    CHANGED,
    FORBIDDEN,
    INACTIVE,
    LOGGED_OUT,
    NO_LICENCE,
    NO_TENANT,
    NO_USER,
    NOT_AUTHENTICATED,
    NOT_FOUND,
    OWN_ACCOUNT,
    SLUG_TAKEN,
    UNAVAILABLE,
    USER_DELETED,
    WRONG,
    WRONG_CURRENT,
    missing,
)
from legacy_compat.contracts.paging import UsersAsked, UsersPage
from legacy_compat.contracts.protocol import Credentials
from legacy_compat.contracts.shapes import Answer, moment

ABSENT: frozenset[str] = frozenset()
USERS: UsersAsked = UsersPage
USER_FIELDS: tuple[str, ...] = ("id", "email", "username", "full_name", "is_active", "is_superuser", "created_at")

__all__ = [
    "ABSENT", "BAD_REFRESH", "BAD_TOKEN", "CHANGED", "FORBIDDEN", "INACTIVE", "LOGGED_OUT", "NOT_AUTHENTICATED",
    "NOT_FOUND", "NO_LICENCE", "NO_TENANT", "NO_USER", "OWN_ACCOUNT", "SLUG_TAKEN", "UNAVAILABLE", "USERS", "USER_DELETED",
    "USER_FIELDS", "WRONG", "WRONG_CURRENT", "credentials", "missing", "tenant",
    "tokens", "user", "users", "validation",
]  # fmt: skip


def credentials(content_type: str, form: Mapping[str, Any]) -> Credentials | Answer:
    """Out of a form or a JSON object; the tenant need not be named."""
    if absent := [name for name in ("username", "password") if not isinstance(form.get(name), str)]:
        return missing(*absent)
    return Credentials(form["username"], form["password"], str(form.get("tenant_id") or ""))


def tokens(pair: Pair, user: User | None) -> Answer:
    """A login's answer says who it was; a refresh's (`user` None) does not."""
    body: dict[str, Any] = {"access_token": pair.access, "refresh_token": pair.refresh, "token_type": "bearer"}
    if user is not None:
        body["user"] = {
            "id": str(user.pk), "email": user.email, "username": user.username, "full_name": user.full_name,
            "is_superuser": bool(user.is_superuser),
        }  # fmt: skip
    return Answer(200, body)


def user(user: Any) -> dict[str, Any]:
    return observed.user(user)


def users(users: Sequence[Any], total: int, first: int, size: int) -> Answer:
    listed = [
        {
            "id": str(one.id), "email": one.email, "username": one.username, "full_name": one.full_name,
            "is_active": one.is_active, "is_superuser": one.is_superuser, "created_at": moment(one.created_at),
        }
        for one in users
    ]  # fmt: skip
    return Answer(200, {"users": listed, "total": total, "page": first, "size": size})


def tenant(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": str(tenant.pk), "name": tenant.name, "slug": tenant.slug, "is_active": tenant.is_active,
        "max_licenses": tenant.max_licenses, "created_at": moment(tenant.created_at),
    }  # fmt: skip


def validation(licence: License | None, verdict: Verdict) -> Answer:
    if licence is None:
        return Answer(200, {"valid": False, "error": "License not found", "details": "No license has this key"})
    return observed.validation(licence, verdict)
