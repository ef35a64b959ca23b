"""The caller's tenant, its roles and its licences."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Query, Router, Schema, Status

from iam.api.access import Token, caller, within
from iam.api.auth import ERRORS
from iam.api.paging import Page, Paged, paged
from iam.api.problems import Problem, ProblemOut
from iam.licences import Judgement, find, judge
from iam.models import License, Permission, Role, RolePermission, Tenant, User, UserRole

tenants = Router(tags=["tenants"], auth=Token())
roles = Router(tags=["roles"], auth=Token())
licenses = Router(tags=["licences"], auth=Token())


class TenantOut(Schema):
    id: uuid.UUID
    name: str | None
    slug: str | None
    is_active: bool | None
    max_licenses: int
    created_at: datetime | None


class Tenants(Paged):
    items: list[TenantOut]


class TenantChanges(Schema):
    name: str = Field(min_length=1, max_length=255)


class RoleOut(Schema):
    id: uuid.UUID
    name: str
    description: str | None
    is_system: bool | None
    permissions: list[str]

    @staticmethod
    def resolve_permissions(role: Role) -> list[str]:
        return sorted(permission.code for permission in role.permissions.all())


class Roles(Paged):
    items: list[RoleOut]


class RoleIn(Schema):
    name: str = Field(min_length=1, max_length=100)
    description: str | None = Field(None, max_length=1000)
    permissions: list[str] = Field([], max_length=100)


class LicenceOut(Schema):
    id: uuid.UUID
    license_key: str | None
    template_id: str | None
    linked_subscription: str | None
    issued_at: datetime | None
    validity_days: int | None
    payload: Any = None


class Licences(Paged):
    items: list[LicenceOut]


class LicenceIn(Schema):
    """Without a key one is made."""

    license_key: str | None = Field(None, min_length=8, max_length=2000)
    template_id: str | None = Field(None, max_length=36)
    linked_subscription: str | None = Field(None, max_length=36)
    validity_days: int | None = Field(None, ge=1, le=36_500)
    payload: dict[str, Any] = {}


class KeyIn(Schema):
    license_key: str = Field(min_length=1, max_length=2000)


class Verdict(Schema):
    """`reason` is empty for a valid licence; else unknown, expired, inactive, early, subscription (it is linked to one that is
    not active) or unjudged (to one that is not known, or it has no dates)."""

    valid: bool
    reason: str
    license: LicenceOut | None


@tenants.get("", response={200: Tenants, ERRORS: ProblemOut})
def list_tenants(request: HttpRequest, asked: Query[Page]) -> dict[str, Any]:
    """The tenants the caller belongs to: one."""
    return paged(Tenant.objects.filter(pk=caller(request, "tenants:read").tenant_id), asked)


@tenants.get("/{uuid:tenant_id}", response={200: TenantOut, ERRORS: ProblemOut})
def read_tenant(request: HttpRequest, tenant_id: uuid.UUID) -> Tenant:
    return get_object_or_404(Tenant.objects.filter(pk=caller(request, "tenants:read").tenant_id), pk=tenant_id)


@tenants.patch("/{uuid:tenant_id}", response={200: TenantOut, ERRORS: ProblemOut})
def rename_tenant(request: HttpRequest, tenant_id: uuid.UUID, asked: TenantChanges) -> Tenant:
    tenant = get_object_or_404(Tenant.objects.filter(pk=caller(request, "tenants:write").tenant_id), pk=tenant_id)
    tenant.name = asked.name
    tenant.save(update_fields=["name"])
    return tenant


@roles.get("", response={200: Roles, ERRORS: ProblemOut})
def list_roles(request: HttpRequest, asked: Query[Page]) -> dict[str, Any]:
    """The system's roles, and the tenant's own."""
    return paged(_roles(caller(request, "roles:read")).prefetch_related("permissions").order_by("name", "id"), asked)


@roles.post("", response={201: RoleOut, ERRORS: ProblemOut})
def create_role(request: HttpRequest, asked: RoleIn) -> Status:
    """Create a role of the tenant, with permissions that the caller has."""
    user = caller(request, "roles:write")
    _unlike_the_systems(asked.name)
    role = Role(tenant_id=user.tenant_id, name=asked.name, description=asked.description)
    with transaction.atomic(using="iam"):
        role.save(force_insert=True)
        _grant(request, role, asked.permissions)
    return Status(201, role)


@roles.put("/{uuid:role_id}", response={200: RoleOut, ERRORS: ProblemOut})
def change_role(request: HttpRequest, role_id: uuid.UUID, asked: RoleIn) -> Role:
    user = caller(request, "roles:write")
    role = _own_role(request, user, role_id)
    if asked.name != role.name:
        _unlike_the_systems(asked.name)
    role.name, role.description = asked.name, asked.description
    with transaction.atomic(using="iam"):
        role.save()
        _grant(request, role, asked.permissions)
    return role


@roles.delete("/{uuid:role_id}", response={204: None, ERRORS: ProblemOut})
def delete_role(request: HttpRequest, role_id: uuid.UUID) -> Status:
    """Delete a role that no user has."""
    role = _own_role(request, caller(request, "roles:write"), role_id)
    if UserRole.objects.filter(role=role).exists():
        raise Problem(409, "role-in-use", "Somebody has this role: take it away from them first.")
    with transaction.atomic(using="iam"):
        RolePermission.objects.filter(role=role).delete()
        Role.objects.filter(pk=role.pk).delete()
    return Status(204, None)


@licenses.get("", response={200: Licences, ERRORS: ProblemOut})
def list_licences(request: HttpRequest, asked: Query[Page]) -> dict[str, Any]:
    return paged(_licences(caller(request, "licenses:read")).order_by("issued_at", "id"), asked)


@licenses.post("", response={201: LicenceOut, ERRORS: ProblemOut})
def issue_licence(request: HttpRequest, asked: LicenceIn) -> Status:
    """Issue a licence, within the number that the tenant may have."""
    user = caller(request, "licenses:write")
    with transaction.atomic(using="iam"):
        tenant = Tenant.objects.select_for_update().get(pk=user.tenant_id)
        if tenant.max_licenses and _licences(user).count() >= tenant.max_licenses:
            raise Problem(409, "licence-limit", f"The tenant may have {tenant.max_licenses} licences, and has them.")
        given = asked.dict() | {"license_key": asked.license_key or str(uuid.uuid4())}
        made = License.objects.create(tenant=tenant, issued_at=timezone.now(), **given)
    return Status(201, made)


@licenses.post("/validate", response={200: Verdict, ERRORS: ProblemOut}, auth=None)
def validate_licence(request: HttpRequest, asked: KeyIn) -> dict[str, Any]:
    """Anybody who knows the key may ask, as before."""
    found = find(asked.license_key)
    verdict, _ = judge(found, timezone.now())
    return {"valid": verdict is Judgement.VALID, "reason": verdict.value, "license": found}


@licenses.get("/{uuid:licence_id}", response={200: LicenceOut, ERRORS: ProblemOut})
def read_licence(request: HttpRequest, licence_id: uuid.UUID) -> License:
    return get_object_or_404(_licences(caller(request, "licenses:read")), pk=licence_id)


@licenses.delete("/{uuid:licence_id}", response={204: None, ERRORS: ProblemOut})
def revoke_licence(request: HttpRequest, licence_id: uuid.UUID) -> Status:
    get_object_or_404(_licences(caller(request, "licenses:write")), pk=licence_id).delete()
    return Status(204, None)


def _roles(user: User) -> QuerySet[Role]:
    return Role.objects.filter(Q(tenant=None) | Q(tenant_id=user.tenant_id))


def _own_role(request: HttpRequest, user: User, role_id: uuid.UUID) -> Role:
    """A role that the caller may change. Raises Problem and Http404."""
    role = get_object_or_404(_roles(user), pk=role_id)
    if role.tenant_id is None:
        raise Problem(409, "system-role", "Roles of the system cannot be changed; make one of your own.")
    within(request, set(role.permissions.values_list("code", flat=True)), "This role")
    return role


def _unlike_the_systems(name: str) -> None:
    """Roles are given by name: one that is named like the system's would be mistaken for it."""
    if Role.objects.filter(tenant=None, name__iexact=name.strip()).exists():
        raise Problem(409, "system-role", f"The system has a role of the name {name}; choose another.")


def _licences(user: User) -> QuerySet[License]:
    return License.objects.filter(tenant_id=user.tenant_id)


def _grant(request: HttpRequest, role: Role, names: list[str]) -> None:
    """Let the role have exactly these permissions. Raises Problem for those the giver lacks: nobody climbs by a role they make."""
    within(request, set(names), "The role that you want")
    wanted = Permission.objects.filter(code__in=names)
    RolePermission.objects.filter(role=role).exclude(permission__in=wanted).delete()
    giver: User = request.auth.user  # type: ignore[attr-defined]
    for permission in wanted:
        RolePermission.objects.get_or_create(role=role, permission=permission, defaults={"granted_by": giver})
