"""Asking where tenants live. The answer is read fresh: a stale one would write to the wrong system."""

from __future__ import annotations

from flags.models import TenantHome


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
