"""Blockers: what keeps a tenant from being moved, and what moving it touches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from flags.models import TenantHome
from iam.models import User
from iam.passwords import SETTLED
from legacy_compat.standing import unanswered
from migration_portal.backups.models import Backup
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.models import Stray
from migration_portal.engine import numbers, quarantine, returning
from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import named
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import tenants
from migration_portal.monitoring.alerts import ROLL_BACK
from migration_portal.monitoring.models import Alert
from migration_portal.plan import directions
from migration_portal.plan.checks import lost_in_reverse
from migration_portal.refusal import Refusal
from migration_portal.runs.drift import drift
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.states import State

_KNOWN_SECONDS = 30.0
_QUERIES = named(Path(__file__).parent / "cutover.sql")


class Blocked(Refusal):
    """Something keeps the tenant from being moved; nothing was begun."""


@dataclass(frozen=True)
class Impact:
    """What an operator should know before moving a tenant."""

    users: int
    licences: int
    last_activity: Any
    quarantined: int
    strays: int
    unreadable: int
    """Users whose password only legacy can check."""


def impact(tenant: TenantHome, transfer: Transfer, run: Run) -> Impact:
    """Count what the tenant has in the IAM, and what is open about it. Raises psycopg.Error."""
    counts = rows(transfer.target, _QUERIES["impact"], {"tenant": tenant.tenant})[0]
    quarantined = QuarantinedRow.objects.filter(
        run=run.key, state="open", tenant__in=[tenant.tenant, tenant.legacy_tenant]
    )
    strays = Stray.objects.filter(run=run.key, state="open", tenant__in=[tenant.tenant, tenant.legacy_tenant])
    unreadable = User.objects.filter(tenant_id=tenant.tenant, is_active=True).exclude(hashed_password__regex=SETTLED)
    return Impact(**counts, quarantined=quarantined.count(), strays=strays.count(), unreadable=unreadable.count())


def blockers(tenant: TenantHome, home: str, transfer: Transfer, run: Run) -> list[str]:
    """Why the tenant cannot be moved now; empty when it can. What could be carried or stays listed keeps nobody from moving back:
    reversing is the emergency exit.
    """
    reasons: list[str] = []
    if tenant.home == home:
        return [f"It is at home in {tenant.get_home_display()} already."]
    if tenant.final:
        return ["It was finalized: only a restore brings it back."]
    if run.state != State.COMPLETED and not (home == TenantHome.Home.LEGACY and run.loaded):
        reasons.append(f"{run} is {run.state}; it must be completed and verified.")
    if home == TenantHome.Home.IAM:
        quarantine.follow_parents(transfer)
        reasons += _undecided(tenant, transfer, run)
    reasons += of_catch_up(home)
    if home == TenantHome.Home.IAM:
        reasons += Alert.objects.open().filter(key__startswith=ROLL_BACK).values_list("what", flat=True)
    if home == TenantHome.Home.IAM and (missing := Backup.objects.missing()):
        reasons.append(missing)
    if home == TenantHome.Home.IAM and (left := unanswered()):
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        reasons.append(
            f"Legacy endpoints that nobody would answer: {', '.join(left[:3])}{more}. Accept them by name under “API surface”."
        )
    if changed := drift(run, transfer):
        reasons.append(changed)
    if home == TenantHome.Home.IAM and (lost := lost_in_reverse(run.plan, transfer.source_catalog)):
        named = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in lost.items())
        reasons.append(f"The plan's reverse loses columns ({named}): add them to its reverse sections.")
    if home == TenantHome.Home.IAM:
        back = _way_back(run, transfer)
        reasons += back.trouble
        reasons += (
            f"{column} would come back as something else in {count:,} of its rows: correct the plan's reverse expression, or accept"
            " that by name under 'lossy' (pre-flight shows examples); then manage.py portal revise_plan."
            for column, count in tenants.lossy(transfer, tenant.legacy_tenant, back.uncertain).items()
        )
    return reasons


@dataclass(frozen=True)
class _WayBack:
    """What is wrong with the plan's way back, whoever moves, and what must be counted of whoever does."""

    asked_at: float
    trouble: list[str]
    uncertain: list[returning.Uncertain]


_known: dict[tuple[UUID, str, str], _WayBack] = {}


def _way_back(run: Run, transfer: Transfer) -> _WayBack:
    """Asked again after a while only: of a thousand tenants that move, each would wait for the same answer."""
    key, now = (transfer.run, run.plan.checksum, str(run.found)), time.monotonic()
    if key not in _known or now - _known[key].asked_at > _KNOWN_SECONDS:
        about = (transfer.source_catalog, transfer.target_catalog)
        back = directions.backward(run.plan, *about)
        trouble = [
            f"The reverse of {refusal.subject} cannot be followed: {refusal.what}"
            for refusal in returning.unfollowed(run.plan, back, *about)
        ]
        trouble += [
            f"The reverse of {column} fails: {describe(error).what} Correct the plan's reverse expression."
            for column, (_, error) in returning.failing(transfer.target, back, transfer.source_catalog).items()
        ]
        trouble += [str(refusal) for refusal in returning.hindered(transfer.source, back)]
        trouble += [str(refusal) for refusal in numbers.unnumberable(transfer.source, run.plan)]
        trouble += [str(refusal) for refusal in returning.leaving(transfer.source, run.plan, *about)]
        _known[key] = _WayBack(now, trouble, returning.uncertain(transfer.source, run.plan, *about))
    return _known[key]


def _undecided(tenant: TenantHome, transfer: Transfer, run: Run) -> Iterator[str]:
    about = impact(tenant, transfer, run)
    if about.quarantined:
        yield f"In quarantine: {about.quarantined} of its rows. Retry or discard them."
    if about.strays:
        yield f"Its undecided stray writes: {about.strays}."
    if Finding.objects.filter(
        run=run.key, verification=run.verification, table_name="tenants", key=[tenant.tenant]
    ).exists():
        yield "Verification found a difference in the tenant's own row: verify again."


def of_catch_up(home: str) -> list[str]:
    """What is wrong with the direction that leads to this home."""
    to_iam = home == TenantHome.Home.IAM
    back = FlowStatus.objects.filter(pk="reverse").first()
    if to_iam and back and back.trouble and TenantHome.objects.filter(home=TenantHome.Home.IAM, final=False).exists():
        return [f"Reverse catch-up does not work: {back.trouble}"]
    flow = FlowStatus.objects.filter(pk="forward").first() if to_iam else back
    if flow is None:
        return ["Catch-up has not started: check that a worker of the queue “follow” runs."]
    if flow.trouble:
        return [flow.trouble]
    if flow.lag_seconds > settings.CUTOVER_MAX_LAG_SECONDS and flow.entries > flow.retrying:
        return [
            f"Catch-up is {flow.lag_seconds:.0f} s behind; it must come under {settings.CUTOVER_MAX_LAG_SECONDS} s."
        ]
    return []
