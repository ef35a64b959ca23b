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
        moved = _elsewhere(iam, legacy)
        for tenant, home in moved.items():
            _set_home(tenant, home, legacy if home == TenantHome.Home.IAM else iam, by)
        Portal.objects.filter(pk=1).update(epoch=next_one.epoch)
        chain.record("adopt", by=by, reason=reason, data={"count": len(moved)})
        for connection, schema in signed:
            owner.write(connection, schema, next_one)
    return sum(home == TenantHome.Home.IAM for home in moved.values())


def _elsewhere(iam: Connection[Any], legacy: Connection[Any]) -> dict[str, TenantHome.Home]:
    """Where the two guards know each tenant to live. A flip closes the old side first: who is closed there has left."""
    known = {tenant: TenantHome.Home.IAM if here else TenantHome.Home.LEGACY for tenant, here in _guarded(iam).items()}
    return known | {tenant: TenantHome.Home.IAM for tenant, here in _guarded(legacy).items() if not here}


def _guarded(connection: Connection[Any]) -> dict[str, bool]:
    row = connection.execute("SELECT to_regclass('portal_capture.homes')").fetchone()
    if row is None or row[0] is None:
        return {}
    return {
        tenant.lower(): here for tenant, here in connection.execute("SELECT tenant, here FROM portal_capture.homes")
    }


def _set_home(tenant: str, home: TenantHome.Home, left: Connection[Any], by: str) -> None:
    """What is captured from now on for a tenant on the side that it left is a stray."""
    known, _ = TenantHome.objects.get_or_create(pk=tenant, defaults={"legacy_tenant": tenant})
    if known.home == home:
        return
    committed = capture_queue.of_tenant(left, "")
    known.home, known.changed_at, known.changed_by = home, timezone.now(), by
    if home == TenantHome.Home.IAM:
        known.left_legacy_at, known.left_legacy_snapshot = committed.last, committed.snapshot
    else:
        known.left_iam_at, known.left_iam_snapshot = committed.last, committed.snapshot
    known.save()
