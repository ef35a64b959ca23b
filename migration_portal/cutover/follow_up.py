"""What follows from a flip: both guards, the epoch, and tables that only legacy keeps. Can be done again at any time."""

from __future__ import annotations

from django.db import connection
from django.db.models.functions import Now

from flags.models import TenantHome
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.models import Cutover
from migration_portal.engine import capture_queue, quarantine
from migration_portal.engine.guard import set_home
from migration_portal.engine.source import any_of
from migration_portal.engine.transfer import Transfer
from migration_portal.locks import Lock, only_one
from migration_portal.runs.connections import open_transfer, still_ours


def follow_up(cutover: Cutover, transfer: Transfer) -> None:
    """Do it and note that it is done. Raises Refusal or psycopg.Error; then the loop tries again."""
    assert transfer.queue is not None
    still_ours(transfer)  # writes the epoch to both sides
    tenant = TenantHome.objects.get(pk=cutover.tenant_id)
    if tenant.home == cutover.home:  # else a later move has its own
        set_home(transfer.queue, tenant.legacy_tenant, here=tenant.home == TenantHome.Home.LEGACY)
        set_home(transfer.target, tenant.tenant, here=tenant.home == TenantHome.Home.IAM)
        if tenant.home == TenantHome.Home.LEGACY:
            _mirror_again(transfer, tenant)
    Cutover.objects.filter(pk=cutover.pk).update(followed_up_at=Now())


def _mirror_again(transfer: Transfer, tenant: TenantHome) -> None:
    """Tables whose rows have no way back (roles, say) follow from legacy again."""
    assert transfer.queue is not None
    plan = transfer.plan
    for source in {table.source for table in plan.tables if not table.returns}:
        tables = plan.siblings(source)
        where = any_of(quarantine.of_tenant(transfer, table, tenant.legacy_tenant) for table in tables)
        capture_queue.enqueue_tenant(transfer.queue, plan, tables[0], tenant.legacy_tenant, where)


def resume() -> int:
    """Follow up every flip that was not, and not beside a move. Returns how many."""
    with only_one(connection, Lock.MOVES) as alone:
        left = (
            list(Cutover.objects.filter(state=Cutover.State.DONE, followed_up_at=None).order_by("id")) if alone else []
        )
        run = captured_run() if left else None
        if run is None:
            return 0
        with open_transfer(run, "follow up") as transfer:
            for cutover in left:
                follow_up(cutover, transfer)
        return len(left)
