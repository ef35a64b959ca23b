"""What stands in the way of moving a tenant, and what moving it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from flags.models import TenantHome
from migration_portal.catchup.models import Stream
from migration_portal.cutover.models import Stray
from migration_portal.engine.ledger import rows
from migration_portal.engine.sides import Sides
from migration_portal.plan.checks import lost_in_reverse
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.states import State


@dataclass(frozen=True)
class Impact:
    """What an operator should know before moving a tenant."""

    users: int
    licences: int
    last_activity: Any
    quarantined: int
    strays: int


def impact(tenant: TenantHome, sides: Sides, run: Run) -> Impact:
    """Count what the tenant has in the IAM, and what is open about it. Raises psycopg.Error."""
    found = rows(
        sides.iam,
        "SELECT (SELECT count(*) FROM users WHERE tenant_id = %(t)s) AS users,"
        " (SELECT count(*) FROM licenses WHERE tenant_id = %(t)s) AS licences,"
        " (SELECT max(greatest(last_login, last_login_at, updated_at)) FROM users WHERE tenant_id = %(t)s) AS last_activity",
        {"t": tenant.tenant},
    )[0]
    quarantined = QuarantinedRow.objects.filter(
        run=run.key, state="open", tenant__in=[tenant.tenant, tenant.legacy_tenant]
    )
    strays = Stray.objects.filter(run=run.key, state="open", tenant__in=[tenant.tenant, tenant.legacy_tenant])
    return Impact(**found, quarantined=quarantined.count(), strays=strays.count())


def blockers(tenant: TenantHome, home: str, sides: Sides, run: Run) -> list[str]:
    """Why the tenant cannot be moved now; empty when it can."""
    found: list[str] = []
    if tenant.home == home:
        return [f"It is at home in {tenant.get_home_display()} already."]
    if tenant.final:
        return ["It was finalized: there is no way back but a restore."]
    if run.state != State.COMPLETED:
        found.append(f"{run} is {run.state}; it must be completed and verified.")
    about = impact(tenant, sides, run)
    if about.quarantined:
        found.append(f"{about.quarantined} of its rows wait in quarantine: retry or discard them.")
    if about.strays:
        found.append(f"{about.strays} stray writes of it wait for a decision.")
    if Finding.objects.filter(
        run=run.key, verification=run.verification, table_name="tenants", key=[tenant.tenant]
    ).exists():
        found.append("Verification found a difference in the tenant's own row: verify again.")
    stream = Stream.objects.filter(pk="forward" if home == TenantHome.Home.IAM else "reverse").first()
    if stream is None or not stream.alive:
        found.append("Catch-up gives no sign of life: check that its worker runs.")
    elif stream.lag_seconds > settings.CUTOVER_MAX_LAG_SECONDS and stream.entries > stream.retrying:
        found.append(
            f"Catch-up is {stream.lag_seconds:.0f} s behind; it must come under {settings.CUTOVER_MAX_LAG_SECONDS} s."
        )
    if home == TenantHome.Home.IAM and (lost := lost_in_reverse(run.plan, sides.source)):
        named = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in lost.items())
        found.append(f"The plan's way back loses columns ({named}): add them to its reverse sections.")
    return found
