"""Cut over and reverse: asking for tenants to be moved. Workers do it one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from celery import current_app
from django.db import transaction
from psycopg.rows import dict_row

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.move import move
from migration_portal.cutover.mover import only_mover
from migration_portal.plan.errors import Refusal

_WAITING = (Cutover.State.ASKED, Cutover.State.PREPARING, Cutover.State.HOLDING)


def cut_over(tenants: Sequence[TenantHome], *, by: str, reason: str = "", wave: str = "") -> list[Cutover]:
    """Ask for these tenants to be moved into the IAM. Raises Refusal when one is under way already, or there is none."""
    return _ask(tenants, TenantHome.Home.IAM, by=by, reason=reason, wave=wave)


def reverse(tenants: Sequence[TenantHome], *, by: str, reason: str, wave: str = "") -> list[Cutover]:
    """Ask for these tenants to be moved back, with what they wrote since. Raises Refusal, also without a reason."""
    if not reason.strip():
        raise Refusal("Reversing needs a reason.", todo="Say why; it goes into the audit log.")
    return _ask(tenants, TenantHome.Home.LEGACY, by=by, reason=reason, wave=wave)


@transaction.atomic
def _ask(tenants: Sequence[TenantHome], home: TenantHome.Home, *, by: str, reason: str, wave: str) -> list[Cutover]:
    wanted = list(TenantHome.objects.filter(pk__in=[tenant.pk for tenant in tenants]).exclude(home=home))
    if not wanted:
        raise Refusal(f"None of these tenants can be moved to {home.label}: they live there.", todo="Select others.")
    busy = Cutover.objects.filter(tenant__in=wanted, state__in=_WAITING).select_related("tenant").first()
    if busy is not None:
        raise Refusal("It is being moved already.", subject=str(busy.tenant), todo="Wait for that to end.")
    asked = Cutover.objects.bulk_create(
        Cutover(tenant=tenant, home=home, wave=wave, asked_by=by, reason=reason) for tenant in wanted
    )
    chain.record(
        "ask_move", object_type="tenants", object_id=wave, by=by, reason=reason,
        data={"home": home, "count": len(asked), "wave": wave},
    )  # fmt: skip
    transaction.on_commit(lambda: current_app.send_task("cutover.work", expires=10))
    return asked


def work() -> int:
    """Make the moves that were asked for, one worker at a time. Returns how many were made or aborted."""
    count = 0
    with only_mover() as alone:
        # One that a dead worker left behind is made again: until the flip nothing had changed.
        while alone and (
            cutover := Cutover.objects.filter(state__in=_WAITING).select_related("tenant").order_by("id").first()
        ):
            move(cutover)
            count += 1
    return count


def know_tenants() -> int:
    """Give every tenant of the IAM a place on the board, and drop those that are gone. Returns how many there are."""
    run = captured_run()
    if run is None:
        return TenantHome.objects.count()
    with databases.iam("board") as iam, iam.cursor(row_factory=dict_row) as cursor:
        found = {row["id"]: row["name"] or "" for row in cursor.execute("SELECT id::text, name FROM tenants")}
    known = dict(TenantHome.objects.values_list("tenant", "name"))
    new = [id for id in found if id not in known]
    if new:
        TenantHome.objects.bulk_create(
            [TenantHome(tenant=id, legacy_tenant=id, name=found[id]) for id in new], ignore_conflicts=True
        )
        _legacy_ids(new)
    renamed = [id for id, name in known.items() if id in found and found[id] != name]
    for id in renamed:
        TenantHome.objects.filter(pk=id).update(name=found[id])
    gone = [id for id in known if id not in found]
    TenantHome.objects.filter(pk__in=gone, moves=None).delete()
    return len(found)


def _legacy_ids(tenants: Sequence[str]) -> None:
    """Legacy may write a tenant's id in another case."""
    with databases.legacy("board") as legacy, legacy.transaction():
        written = legacy.execute("SELECT id::text FROM tenants WHERE id::text <> lower(id::text)").fetchall()
    for (id,) in written:
        if id.lower() in tenants:
            TenantHome.objects.filter(pk=id.lower()).update(legacy_tenant=id)
