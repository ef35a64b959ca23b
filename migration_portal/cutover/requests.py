"""Cut over and reverse: asking for tenants to be moved. A worker moves them one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from flags.models import TenantHome
from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.cutover import reads_first
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.monitoring.baseline import take_baseline
from migration_portal.refusal import Refusal, require_reason


def cut_over(tenants: Sequence[TenantHome], *, by: str, reason: str = "", wave: str = "") -> list[Cutover]:
    """Ask for these tenants to be moved into the IAM. Raises Refusal when one is under way already, or there is none."""
    _require_free(wave)
    return request(tenants, TenantHome.Home.IAM, by=by, reason=reason, wave=wave)


def reverse(tenants: Sequence[TenantHome], *, by: str, reason: str, wave: str = "") -> list[Cutover]:
    """Ask for these tenants to be moved back, with what they wrote since; where only reads are the IAM's, they go back at once.
    Raises Refusal, also without a reason.
    """
    require_reason(reason, to="Reversing")
    back = reads_first.end(tenants, by=by, reason=reason)
    if back and all(tenant.home == TenantHome.Home.LEGACY for tenant in tenants):
        return []  # no more than that was the IAM's
    return request(tenants, TenantHome.Home.LEGACY, by=by, reason=reason, wave=wave)


def _require_free(wave: str) -> None:
    """Raises Refusal for a planned wave's name: its moves wait until it begins."""
    if wave and Wave.objects.open().filter(name=wave).exists():
        raise Refusal(
            "There is a wave of that name, for which its moves would wait.",
            subject=wave,
            todo="Start it, or choose another name.",
        )


@transaction.atomic
def request(tenants: Sequence[TenantHome], home: TenantHome.Home, *, by: str, reason: str, wave: str) -> list[Cutover]:
    """Ask for these tenants to be moved to `home`, in a wave of this name if any. Raises Refusal."""
    asked = TenantHome.objects.filter(pk__in=[tenant.pk for tenant in tenants])
    # Who asks for the same tenants at the same time waits here, and then sees that they are being moved.
    wanted = [tenant for tenant in asked.order_by("pk").select_for_update() if tenant.home != home]
    if not wanted:
        raise Refusal(f"None of these tenants can be moved to {home.label}: they live there.", todo="Select others.")
    busy = Cutover.objects.under_way().filter(tenant__in=wanted).select_related("tenant").first()
    if busy is not None:
        raise Refusal("It is being moved already.", subject=str(busy.tenant), todo="Wait for that to end.")
    requested = Cutover.objects.bulk_create(
        Cutover(tenant=tenant, home=home, wave=wave, requested_by=by, reason=reason) for tenant in wanted
    )
    if home == TenantHome.Home.IAM:
        take_baseline(wave)
    chain.record(
        "request_move", object_type="tenants", object_id=wave, by=by, reason=reason,
        data={"home": home, "count": len(requested), "wave": wave},
    )  # fmt: skip
    transaction.on_commit(lambda: messages.send("cutover.work", queue="follow"))
    return requested
