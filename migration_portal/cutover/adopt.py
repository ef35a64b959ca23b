"""Adopt: take two databases over that another portal, or a later state of this one, has worked on."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from psycopg import Connection

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import capture_queue, ledger, owner
from migration_portal.engine.owner import Owner
from migration_portal.refusal import require_reason
from migration_portal.runs import ownership
from migration_portal.runs.models import Portal


def adopt(*, by: str, reason: str) -> int:
    """Sign both databases as ours, with the tenants' homes as the guards know them. Returns how many live in the IAM.

    Whatever else works on them stops. A write that legacy has captured for a tenant in the IAM counts as a stray from now on.
    Raises Refusal without a reason, or psycopg.Error.
    """
    require_reason(reason, to="Adopting", subject="the two databases")
    with databases.legacy_writable("adopt") as legacy, databases.iam("adopt") as iam, transaction.atomic():
        ledger.install(iam)
        signed: list[tuple[Connection[Any], owner.Schema]] = [
            (iam, "portal_ledger"),
            (iam, "portal_capture"),
            (legacy, "portal_capture"),
        ]
        epochs = [there.epoch for connection, schema in signed if (there := owner.read(connection, schema))]
        mine = ownership.ours()
        next_one = Owner(mine.portal, max([mine.epoch, *epochs]) + 1)
        tenants = _in_iam(iam, here=True) | _in_iam(legacy, here=False)
        committed = capture_queue.of_tenant(legacy, "") if tenants else None
        for tenant in sorted(tenants):
            home, _ = TenantHome.objects.get_or_create(pk=tenant, defaults={"legacy_tenant": tenant})
            if home.home == TenantHome.Home.LEGACY and committed is not None:
                home.home, home.changed_at, home.changed_by = TenantHome.Home.IAM, timezone.now(), by
                home.left_legacy_at, home.left_legacy_snapshot = committed.last, committed.snapshot
                home.save()
        Portal.objects.filter(pk=1).update(epoch=next_one.epoch)
        chain.record("adopt", by=by, reason=reason, data={"count": len(tenants)})
        for connection, schema in signed:
            owner.write(connection, schema, next_one)
    return len(tenants)


def _in_iam(connection: Connection[Any], *, here: bool) -> set[str]:
    """Tenants that this side's guard knows to live in the IAM, as the IAM writes them."""
    row = connection.execute("SELECT to_regclass('portal_capture.homes')").fetchone()
    if row is None or row[0] is None:
        return set()
    return {
        tenant.lower()
        for (tenant,) in connection.execute("SELECT tenant FROM portal_capture.homes WHERE here = %s", [here])
    }
