"""/api/v1/roles: roles of one's own tenant and those of all, for superusers."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from psycopg.errors import ForeignKeyViolation

from iam.models import Permission, Role, RolePermission, User, UserRole
from iam.permissions import allowed, powers
from legacy_compat.call import LegacyCall
from legacy_compat.contracts import released
from legacy_compat.contracts.paging import Sent, Skipping
from legacy_compat.contracts.protocol import Contract
from legacy_compat.contracts.shapes import Answer
from legacy_compat.served import asked
from legacy_compat.served.access import Exceeds, bounded, exceeds, one, saved
from legacy_compat.served.asked import Name, Plain, Text
from legacy_compat.served.users import theirs


class NewRole(Sent):
    name: Name
    description: Text | None = None
    tenant_id: Plain | None = None


class Changes(Sent):
    name: Name | None = None
    description: Text | None = None


def listed(call: LegacyCall, contract: Contract, user: User, wanted: Skipping) -> Answer:
    roles = _visible(user).prefetch_related("permissions").order_by("created_at", "id")
    rows = roles[wanted.first : wanted.first + wanted.size]
    return Answer(200, [released.role(each) for each in rows])


def shown(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    role = one(_visible(user), key)
    return Answer(200, released.role(role)) if role else released.NO_ROLE


def created(call: LegacyCall, contract: Contract, user: User) -> Answer:
    """Of the caller's own tenant, whatever is asked: a role of all tenants would be nobody's to bring back."""
    sent = asked.body(call, NewRole)
    if isinstance(sent, Answer):
        return sent
    if sent.tenant_id is not None and sent.tenant_id.lower() != str(user.tenant_id):
        return contract.NO_TENANT
    if _visible(user).filter(name__iexact=sent.name).exists():
        return released.ROLE_TAKEN
    try:
        with transaction.atomic(using="iam"):
            role = Role.objects.create(name=sent.name, description=sent.description, tenant_id=user.tenant_id)
    except IntegrityError:
        return released.ROLE_TAKEN
    return Answer(200, released.role(role))


def changed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    changes = asked.body(call, Changes)
    if isinstance(changes, Answer):
        return changes
    role = _own(user, key)
    if isinstance(role, Answer):
        return role
    given = {name: value for name, value in changes.given.items() if value is not None or name != "name"}
    if "name" in given and _visible(user).filter(name__iexact=given["name"]).exclude(pk=role.pk).exists():
        return released.ROLE_TAKEN
    for name, value in (given | {"updated_at": timezone.now()}).items():
        setattr(role, name, value)
    try:
        there = saved(role, [*given, "updated_at"])
    except IntegrityError:
        return released.ROLE_TAKEN
    return Answer(200, released.role(role)) if there else released.NO_ROLE


def removed(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    role = _own(user, key)
    if isinstance(role, Answer):
        return role
    told = released.role(role)
    try:
        with transaction.atomic(using="iam"):
            RolePermission.objects.filter(role=role).delete()
            Role.objects.filter(pk=role.pk).delete()
    except IntegrityError:
        return released.ROLE_IN_USE
    return Answer(200, told)


def permissions(call: LegacyCall, contract: Contract, user: User, wanted: Skipping) -> Answer:
    rows = Permission.objects.order_by("code", "id")[wanted.first : wanted.first + wanted.size]
    return Answer(200, [released.permission(each) for each in rows])


def granted(call: LegacyCall, contract: Contract, user: User, key: str, wanted: str) -> Answer:
    role, permission = _own(user, key), one(Permission.objects.all(), wanted)
    if isinstance(role, Answer):
        return role
    if permission is None:
        return released.NO_PERMISSION
    if permission.code not in powers(user):
        return released.FORBIDDEN_ROLE
    return _linked(RolePermission(role=role, permission=permission, granted_by=user), released.ALREADY_GRANTED)


def withdrawn(call: LegacyCall, contract: Contract, user: User, key: str, wanted: str) -> Answer:
    role, permission = _own(user, key), one(Permission.objects.all(), wanted)
    if isinstance(role, Answer):
        return role
    if permission is None or not RolePermission.objects.filter(role=role, permission=permission).delete()[0]:
        return released.NO_PERMISSION
    return Answer(200, released.role(role))


def assigned(call: LegacyCall, contract: Contract, user: User, key: str, wanted: str) -> Answer:
    """Nobody gives away what they do not have."""
    of, role = one(theirs(user), key), one(_visible(user), wanted)
    if of is None or role is None:
        return contract.NO_USER if of is None else released.NO_ROLE
    given = frozenset(role.permissions.values_list("code", flat=True))
    if exceeds(of, user) or given - powers(user):
        return released.FORBIDDEN_ROLE
    return _linked(UserRole(user=of, role=role, assigned_by=user), released.ALREADY_ASSIGNED)


def taken_away(call: LegacyCall, contract: Contract, user: User, key: str, wanted: str) -> Answer:
    of, role = one(theirs(user), key), one(_visible(user), wanted)
    if of is None or role is None:
        return contract.NO_USER if of is None else released.NO_ROLE
    if exceeds(of, user):
        return released.FORBIDDEN_ROLE
    try:
        with bounded(user, of):  # a superuser without a role has the default one, which may permit more
            there = UserRole.objects.filter(user=of, role=role).delete()[0]
    except Exceeds:
        return released.FORBIDDEN_ROLE
    return Answer(200, released.role(role)) if there else released.NOT_ASSIGNED


def of_user(call: LegacyCall, contract: Contract, user: User, key: str) -> Answer:
    """The permissions a user's roles give."""
    of = one(theirs(user), key)
    if of is None:
        return contract.NO_USER
    rows = Permission.objects.filter(code__in=allowed(of)).order_by("code", "id")
    return Answer(200, [released.permission(each) for each in rows])


def _linked(link: RolePermission | UserRole, already: Answer) -> Answer:
    """The role with its new link; `already` where it had that one."""
    try:
        with transaction.atomic(using="iam"):
            link.save(force_insert=True)
    except IntegrityError as error:
        return released.NO_ROLE if isinstance(error.__cause__, ForeignKeyViolation) else already
    return Answer(200, released.role(link.role))


def _visible(user: User) -> QuerySet[Role]:
    return Role.objects.filter(Q(tenant=None) | Q(tenant_id=user.tenant_id))


def _own(user: User, key: str) -> Any:
    """A role that is the tenant's to change; the answer that says why not."""
    role = one(_visible(user), key)
    if role is None:
        return released.NO_ROLE
    if role.tenant_id is None or role.is_system:
        return released.SYSTEM_ROLE
    if frozenset(role.permissions.values_list("code", flat=True)) - powers(user):
        return released.FORBIDDEN_ROLE
    return role
