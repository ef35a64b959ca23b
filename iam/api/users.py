"""The users of the caller's tenant, and their roles."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Query, Router, Schema, Status

from iam import totp
from iam.api.access import Token, caller, within
from iam.api.auth import ERRORS, Me, set_password
from iam.api.paging import Page, Paged, paged
from iam.api.problems import Problem, ProblemOut
from iam.models import Permission, Role, User, UserRole
from iam.permissions import reach

router = Router(tags=["users"], auth=Token())


class Users(Paged):
    items: list[Me]


class Found(Page):
    """`search` is a part of a user name, e-mail or full name."""

    search: str = Field("", max_length=100)
    is_active: bool | None = None


class NewUser(Schema):
    username: str = Field(min_length=1, max_length=100)
    email: str = Field(min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(max_length=1024)
    full_name: str | None = Field(None, max_length=255)


class UserChanges(Schema):
    """Only what is sent changes."""

    email: str | None = Field(None, min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")
    full_name: str | None = Field(None, max_length=255)
    is_active: bool | None = None
    password: str | None = Field(None, max_length=1024)


class RoleNames(Schema):
    roles: list[str] = Field(max_length=100)


@router.get("", response={200: Users, ERRORS: ProblemOut})
def list_users(request: HttpRequest, asked: Query[Found]) -> dict[str, Any]:
    users = _theirs(caller(request, "users:read")).order_by("created_at", "id")
    if asked.search:
        part = asked.search
        users = users.filter(Q(username__icontains=part) | Q(email__icontains=part) | Q(full_name__icontains=part))
    if asked.is_active is not None:
        users = users.filter(is_active=asked.is_active)
    return paged(users, asked)


@router.post("", response={201: Me, ERRORS: ProblemOut})
def create_user(request: HttpRequest, asked: NewUser) -> Status:
    """Create a user with the role `user`."""
    creator, role = caller(request, "users:write"), Role.default(Role.USER)
    within(request, set(Permission.objects.filter(role__in=role).values_list("code", flat=True)), "A new user")
    user = User(
        tenant_id=creator.tenant_id, username=asked.username, email=asked.email, full_name=asked.full_name,
        hashed_password="",
    )  # fmt: skip
    with transaction.atomic(using="iam"):
        set_password(user, asked.password)
        UserRole.objects.create(user=user, role=role.get(), assigned_by=creator)
    return Status(201, user)


@router.get("/{uuid:user_id}", response={200: Me, ERRORS: ProblemOut})
def read_user(request: HttpRequest, user_id: uuid.UUID) -> User:
    return get_object_or_404(_theirs(caller(request, "users:read")), pk=user_id)


@router.patch("/{uuid:user_id}", response={200: Me, ERRORS: ProblemOut})
def change_user(request: HttpRequest, user_id: uuid.UUID, asked: UserChanges) -> User:
    """A new password or switching the user off ends its sessions."""
    mine = caller(request, "users:write")
    user = _weaker(request, mine, user_id)
    changes = asked.dict(exclude_unset=True)
    if user.pk == mine.pk and (changes.get("is_active") is False or "password" in changes):
        sentence = "You cannot switch off your own account; your password is changed at /api/v1/me/password."
        raise Problem(409, "own-account", sentence)
    password = changes.pop("password", None)
    with transaction.atomic(using="iam"):
        for name, value in changes.items():
            setattr(user, name, value)
        user.updated_at = timezone.now()
        user.save(update_fields=[*changes, "updated_at"])
        if password is not None:
            set_password(user, password)
    return user


@router.delete("/{uuid:user_id}", response={204: None, ERRORS: ProblemOut})
def deactivate_user(request: HttpRequest, user_id: uuid.UUID) -> Status:
    """Switch a user off; nothing is deleted."""
    change_user(request, user_id, UserChanges.model_validate({"is_active": False}))
    return Status(204, None)


@router.get("/{uuid:user_id}/roles", response={200: RoleNames, ERRORS: ProblemOut})
def read_roles(request: HttpRequest, user_id: uuid.UUID) -> dict[str, Any]:
    user = get_object_or_404(_theirs(caller(request, "roles:read")), pk=user_id)
    return {"roles": sorted(user.roles.values_list("name", flat=True))}


@router.put("/{uuid:user_id}/roles", response={200: RoleNames, ERRORS: ProblemOut})
def assign_roles(request: HttpRequest, user_id: uuid.UUID, asked: RoleNames) -> dict[str, Any]:
    """Give the user exactly these roles. Nobody can give away what they do not have, or change their own roles."""
    giver = caller(request, "roles:write")
    user = _weaker(request, giver, user_id)
    if user.pk == giver.pk:
        raise Problem(409, "own-account", "You cannot change your own roles.")
    roles = Role.objects.filter(Q(tenant=None) | Q(tenant_id=giver.tenant_id), name__in=asked.roles)
    if unknown := set(asked.roles) - set(roles.values_list("name", flat=True)):
        raise Problem(422, "unknown-role", f"Your tenant has no such role: {', '.join(sorted(unknown))}.")
    given = Permission.objects.filter(role__in=roles).values_list("code", flat=True)
    within(request, set(given), "A role that you want to give")
    with transaction.atomic(using="iam"):
        UserRole.objects.filter(user=user).exclude(role__in=roles).delete()
        for role in roles:
            given_by = {"assigned_by": giver, "expires_at": None}
            held = UserRole.objects.filter(user=user, role=role)
            if held.filter(expires_at__lte=timezone.now()).update(**given_by) or held.exists():
                continue
            UserRole.objects.create(user=user, role=role, **given_by)
    return {"roles": sorted(set(asked.roles))}


@router.delete("/{uuid:user_id}/mfa", response={204: None, ERRORS: ProblemOut})
def forget_second_factor(request: HttpRequest, user_id: uuid.UUID) -> Status:
    """For a user who lost their device: they enrol again, where the tenant wants it before anything else."""
    user = _weaker(request, caller(request, "users:write"), user_id)
    totp.forget(user)
    return Status(204, None)


def _weaker(request: HttpRequest, caller: User, user_id: uuid.UUID) -> User:
    """A user of the caller's tenant. Raises Problem when their powers exceed the caller's, and Http404."""
    user = get_object_or_404(_theirs(caller), pk=user_id)
    within(request, reach(user), "This user")
    return user


def _theirs(user: User) -> QuerySet[User]:
    """Of the caller's tenant only, whatever they may."""
    return User.objects.filter(tenant_id=user.tenant_id)
