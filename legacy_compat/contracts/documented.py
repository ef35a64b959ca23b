"""The profile of the strategy document. What it does not describe, the released service's answers stand in for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

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
    USER_DELETED,
    WRONG,
    WRONG_CURRENT,
    licences,
    missing,
    no_uuid,
    not_a_number,
    tenants,
    too_large,
    too_small,
)
from legacy_compat.contracts.shapes import Answer, moment

USERS_SIZE = 100
USER_FIELDS = ("id", "email", "username", "full_name", "is_active", "is_superuser", "created_at")

__all__ = [
    "BAD_REFRESH", "BAD_TOKEN", "CHANGED", "FORBIDDEN", "INACTIVE", "LOGGED_OUT", "NOT_AUTHENTICATED", "NOT_FOUND", "NO_LICENCE",
    "NO_TENANT", "NO_USER", "OWN_ACCOUNT", "SLUG_TAKEN", "USERS_SIZE", "USER_DELETED", "USER_FIELDS", "WRONG", "WRONG_CURRENT",
    "credentials", "licences", "missing", "no_uuid", "not_a_number", "tenants", "tokens", "too_large", "too_small", "user",
    "users", "validation",
]  # fmt: skip


def credentials(content_type: str, form: Mapping[str, str]) -> tuple[str, str, str] | Answer:
    """(user name or e-mail, password, tenant or empty) out of a login request, form or JSON."""
    if absent := [name for name in ("username", "password") if not isinstance(form.get(name), str)]:
        return missing(*absent)
    return form["username"], form["password"], str(form.get("tenant_id") or "")


def tokens(pair: Pair, user: User | None) -> Answer:
    """A login's answer says who it was; a refresh's (`user` None) does not."""
    body: dict[str, Any] = {"access_token": pair.access, "refresh_token": pair.refresh, "token_type": "bearer"}
    if user is not None:
        body["user"] = {
            "id": str(user.pk), "email": user.email, "username": user.username, "full_name": user.full_name,
            "is_superuser": bool(user.is_superuser),
        }  # fmt: skip
    return Answer(200, body)


def user(found: User) -> dict[str, Any]:
    return observed.user(found)


def users(found: list[User], total: int, page: int, size: int) -> Answer:
    listed = [
        {
            "id": str(one.id), "email": one.email, "username": one.username, "full_name": one.full_name,
            "is_active": one.is_active, "is_superuser": one.is_superuser, "created_at": moment(one.created_at),
        }
        for one in found
    ]  # fmt: skip
    return Answer(200, {"users": listed, "total": total, "page": page, "size": size})


def tenant(found: Tenant) -> dict[str, Any]:
    return observed.tenant(found)


def validation(found: License | None, now: datetime) -> Answer:
    if found is None:
        return Answer(200, {"valid": False, "error": "License not found", "details": "No license has this key"})
    return observed.validation(found, now)
