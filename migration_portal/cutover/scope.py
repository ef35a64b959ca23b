"""What moving tenants touches, in numbers: counted, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from flags.models import TenantHome
from iam.models import License, User
from legacy_compat.models import LegacyRequest
from migration_portal.cutover.models import Stray

_READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Scope:
    """Tenants; their users and licences in the IAM; how often they wrote through the portal within an hour; their undecided strays.

    All but the first are None while the IAM does not answer, or has tenants whose ids it does not know.
    """

    tenants: int
    users: int | None = None
    licences: int | None = None
    writes: int | None = None
    strays: int | None = None


def scope_of(tenants: Sequence[str]) -> Scope:
    ids = list(tenants)
    since = timezone.now() - timedelta(hours=1)
    try:
        users = User.objects.filter(tenant_id__in=ids).count()
        licences = License.objects.filter(tenant_id__in=ids).count()
        strays = Stray.objects.filter(state="open", tenant__in=ids).count()
    except (DatabaseError, ValidationError):
        return Scope(len(ids))
    writes = LegacyRequest.objects.filter(at__gte=since, tenant__in=ids).exclude(method__in=_READS).count()
    return Scope(len(ids), users, licences, writes, strays)


def waves() -> list[tuple[str, Scope]]:
    """Each wave with tenants in the IAM, the one that was cut over last first; "" for those without."""
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM, final=False)
    latest = dict(moved.order_by(F("changed_at").asc(nulls_first=True)).values_list("wave", "changed_at"))
    return [(wave, scope_of(list(moved.filter(wave=wave).values_list("pk", flat=True)))) for wave in reversed(latest)]


def everybody() -> Scope:
    return scope_of(list(TenantHome.objects.filter(home=TenantHome.Home.IAM).values_list("pk", flat=True)))
