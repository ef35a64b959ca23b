"""Asking where tenants live. The answer is read fresh: a stale one would write to the wrong system."""

from __future__ import annotations

import time

from django.conf import settings

from flags.models import TenantHome

_POLL_SECONDS = 0.02


def in_iam() -> frozenset[str]:
    """The ids of the tenants at home in the IAM."""
    return frozenset(TenantHome.objects.filter(home=TenantHome.Home.IAM).values_list("tenant", flat=True))


def left_legacy() -> dict[str, int]:
    """Per tenant that left legacy, the last entry of legacy's queue that is from before."""
    return dict(TenantHome.objects.filter(left_legacy_at__gt=0).values_list("tenant", "left_legacy_at"))


def left_iam() -> dict[str, int]:
    """The same for tenants that went back."""
    return dict(TenantHome.objects.filter(left_iam_at__gt=0).values_list("tenant", "left_iam_at"))


def of(tenant: str) -> TenantHome:
    """The tenant's home; one that nobody has decided about lives in legacy."""
    found = TenantHome.objects.filter(pk=tenant).first()
    return found or TenantHome(tenant=tenant, legacy_tenant=tenant)


def serving(tenant: str, *, write: bool) -> str:
    """The side that answers for the tenant now. A write to one that is being moved waits for its new home."""
    if settings.LEGACY_SERVED_BY:  # the kill switch: everything to one side, whatever the homes say
        return str(settings.LEGACY_SERVED_BY)
    if not tenant:
        return TenantHome.Home.LEGACY if settings.LEGACY_UPSTREAM_URL else TenantHome.Home.IAM
    home = of(tenant)
    if home._state.adding and not settings.LEGACY_UPSTREAM_URL:
        return TenantHome.Home.IAM  # nobody knows it, and there is no other system to ask
    while write and home.held:
        time.sleep(_POLL_SECONDS)
        home = of(tenant)
    return home.home
