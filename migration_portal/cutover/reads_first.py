"""Reads first: let the IAM answer a tenant's reads before its writes move, and back at once."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from flags.models import TenantHome
from migration_portal.audit import chain
from migration_portal.cutover.guarding import not_well
from migration_portal.refusal import Refusal, require_reason


def reads_first(tenants: Iterable[TenantHome], *, by: str, reason: str = "") -> int:
    """Let the IAM answer what these tenants' clients read. Returns how many began. Raises Refusal."""
    if why := not_well():
        raise Refusal(why, subject="reads first", todo="Nothing has changed.")
    begun = begin(tenants, by=by, reason=reason)
    if not begun:
        raise Refusal(
            "None of these tenants can read first: they live in the IAM, or it answers their reads already.",
            subject="reads first", todo="Select others.",
        )  # fmt: skip
    return begun


def reads_back(tenants: Iterable[TenantHome], *, by: str, reason: str) -> int:
    """Let legacy answer them again, from the next request on. Returns how many went back. Raises Refusal without a reason."""
    require_reason(reason, to="Going back", subject="reads first")
    return end(tenants, by=by, reason=reason)


@transaction.atomic
def begin(tenants: Iterable[TenantHome], *, by: str, reason: str) -> int:
    """Whatever is well now: a read is answered by the IAM only while it has all that was written."""
    return _set(tenants, Q(reads_since=None), Now(), "reads_first", by=by, reason=reason)


@transaction.atomic
def end(tenants: Iterable[TenantHome], *, by: str, reason: str) -> int:
    return _set(tenants, Q(reads_since__isnull=False), None, "reads_back", by=by, reason=reason)


def _set(tenants: Iterable[TenantHome], which: Q, since: Now | None, verb: str, *, by: str, reason: str) -> int:
    in_legacy = TenantHome.objects.filter(which, pk__in=[tenant.pk for tenant in tenants], home=TenantHome.Home.LEGACY)
    # Locked in one order: two who do this at once do not wait for each other.
    chosen = list(in_legacy.order_by("pk").select_for_update().values_list("pk", flat=True))
    count = TenantHome.objects.filter(pk__in=chosen).update(reads_since=since)
    if count:
        chain.record(verb, object_type="tenants", by=by, reason=reason, data={"count": count})
    return count
