"""What a user may do: what its roles say once `rbac_enabled` is on for it; before, a superuser everything, others their profile."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from flags.decide import Subject
from flags.evaluate import is_on
from iam.models import Permission, Role, User, UserRole

SUPERUSER = "superuser"
"""What the legacy endpoints ask for, and no role gives."""
_OWN = frozenset({"profile:read", "profile:write"})


def subject(user: User) -> Subject:
    """The user, as feature flags know it."""
    return Subject(user=str(user.pk), tenant=str(user.tenant_id))


def roles(user: User) -> list[str]:
    """Names of the roles that have not expired, in order."""
    return sorted(roles_of(user).values_list("name", flat=True))


def allowed(user: User) -> frozenset[str]:
    """Codes of permissions, `resource:action`."""
    if is_on("rbac_enabled", subject(user)):
        return frozenset(Permission.objects.filter(role__in=roles_of(user)).values_list("code", flat=True))
    return frozenset(Permission.objects.values_list("code", flat=True)) if user.is_superuser else _OWN


def powers(user: User) -> frozenset[str]:
    """All that somebody could do as this user, at any door: nobody may touch a user whose powers exceed their own."""
    return allowed(user) | ({SUPERUSER} if user.is_superuser else frozenset())


def reach(user: User) -> frozenset[str]:
    """Of these powers, those that reach further than the user's own profile: what whoever touches the user must have, too."""
    return powers(user) - _OWN


def roles_of(user: User) -> QuerySet[Role]:
    """Who was never given a role, as in a legacy system that knew none, has the default one."""
    if not UserRole.objects.filter(user=user).exists():
        return Role.default(Role.ADMIN if user.is_superuser else Role.USER)
    alive = Q(userrole__expires_at__isnull=True) | Q(userrole__expires_at__gt=timezone.now())
    return Role.objects.filter(alive, userrole__user=user)
