"""Whom a feature may be on for, by name: tenants, and for who may see them people of the IAM."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from flags.models import TenantHome
from iam.models import User

MOST = 6


@dataclass(frozen=True)
class Named:
    """`subject` is what a feature's lists hold: user:<id> or tenant:<id>."""

    subject: str
    name: str
    about: str


def find(words: str, *, people: bool) -> list[Named]:
    """At most six tenants, then at most six people, whose name begins with the words or holds them. Raises DatabaseError."""
    words = words.strip().replace("\0", "")
    if not words:
        return []
    called = Q(name__icontains=words) | Q(tenant__istartswith=words) | Q(legacy_tenant__istartswith=words)
    found = [_tenant(home) for home in TenantHome.objects.filter(called).order_by("name", "pk")[:MOST]]
    if people:
        called = Q(full_name__icontains=words) | Q(username__icontains=words) | Q(email__icontains=words)
        if number := _uuid(words):
            called |= Q(pk=number)
        found += [
            _user(user) for user in User.objects.select_related("tenant").filter(called).order_by("username")[:MOST]
        ]
    return found


def names(subjects: Iterable[str], *, people: bool) -> dict[str, Named]:
    """Those of the subjects that are known, by subject. Raises DatabaseError."""
    ids: dict[str, list[str]] = {"user": [], "tenant": []}
    for subject in subjects:
        kind, _, id = subject.partition(":")
        ids.get(kind, []).append(id)
    found = [_tenant(home) for home in TenantHome.objects.filter(pk__in=ids["tenant"])]
    if people:
        known = [number for each in ids["user"] if (number := _uuid(each))]
        found += [_user(user) for user in User.objects.select_related("tenant").filter(pk__in=known)]
    return {each.subject: each for each in found}


def _tenant(home: TenantHome) -> Named:
    return Named(f"tenant:{home.tenant}", str(home), f"tenant, at home in {home.get_home_display()}")


def _user(user: User) -> Named:
    name = user.full_name or user.username or user.email or str(user.pk)
    return Named(f"user:{user.pk}", name, f"{user.email or user.username or 'a user'}, of {user.tenant}")


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
