"""Finalize: the IAM is the only home from now on. Reverse sync stops, capture and guard go, the ledger is archived."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Identifier

from flags.models import TenantHome
from legacy_compat.standing import unanswered
from migration_portal.audit import chain
from migration_portal.catchup.flows import captured_run
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.unmoved import unmoved
from migration_portal.engine import capture, capture_queue
from migration_portal.plan import directions
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.connections import open_transfer

_WORKING_TABLES = ("chunks", "tables", "catalogs", "commits", "overwritten", "suspended", "sums")


def blockers() -> list[str]:
    """Why the migration cannot be finalized yet."""
    reasons: list[str] = []
    run = captured_run()
    if run is None:
        return ["No run captures changes: there is nothing to finalize."]
    if staying := TenantHome.objects.exclude(home=TenantHome.Home.IAM).count():
        reasons.append(f"Tenants still at home in legacy: {staying}.")
    if moving := Cutover.objects.under_way().count():
        reasons.append(f"Tenants that are being moved: {moving}.")
    if not TenantHome.objects.exists():
        reasons.append("No tenant was cut over.")
    if strays := Stray.objects.filter(run=run.key, state="open").count():
        reasons.append(f"Undecided stray writes: {strays}.")
    if left := unanswered(finalized=True):
        reasons.append(
            f"Legacy endpoints that nobody would answer: {len(left)}. Accept them by name under “API surface”."
        )
    with open_transfer(run, "finalize") as transfer:
        for name, queue in (("legacy", transfer.queue), ("the IAM", transfer.target)):
            assert queue is not None
            if waiting := capture_queue.lag(queue).entries:
                reasons.append(f"Changes captured on {name} and not yet applied: {waiting}.")
    return reasons


def finalize(*, by: str, reason: str) -> str:
    """Do it. Returns the name of the ledger's archive. Raises Refusal with all blockers, or psycopg.Error."""
    require_reason(reason, to="Finalizing", subject="finalize")
    with unmoved("finalize"):
        if reasons := blockers():
            raise Refusal(" ".join(reasons), subject="finalize", todo="Nothing has changed.")
        return _finalize(by=by, reason=reason)


def finalize_tenant(pk: str, *, by: str, reason: str) -> None:
    """The IAM is this tenant's only home from now on: no move leads it back. What it writes still flows to legacy, until all is
    finalized. Raises Refusal with what is in the way, or psycopg.Error.
    """
    require_reason(reason, to="Finalizing", subject=pk)
    with unmoved("finalize"), chain.recorded_last():
        tenant = TenantHome.objects.select_for_update().filter(pk=pk).first()
        if tenant is None:
            raise Refusal("There is no such tenant.", subject=pk[:64])
        if found := list(_of_tenant(tenant)):
            raise Refusal(" ".join(found), subject=str(tenant), todo="Nothing has changed.")
        chain.record("finalize_tenant", of=tenant, by=by, reason=reason)
        TenantHome.objects.filter(pk=pk).update(final=True)


def _of_tenant(tenant: TenantHome) -> Iterator[str]:
    run = captured_run()
    if tenant.final:
        yield "It was finalized already."
    if tenant.home != TenantHome.Home.IAM:
        yield "It is at home in legacy."
    if Cutover.objects.under_way().filter(tenant=tenant).exists():
        yield "It is being moved."
    if run is None:
        return
    if strays := Stray.objects.filter(
        run=run.key, state="open", tenant__in=[tenant.tenant, tenant.legacy_tenant]
    ).count():
        yield f"Its undecided stray writes: {strays}."
    with open_transfer(run, "finalize") as transfer:
        if capture.installed(transfer.target) and (
            waiting := capture_queue.of_tenant(transfer.target, tenant.tenant).waiting
        ):
            yield f"Changes of it that legacy has not got yet: {waiting}."


def _finalize(*, by: str, reason: str) -> str:
    run = captured_run()
    assert run is not None
    # Named by the run: finalizing once more, after a fault in its middle, replaces what that had left.
    archive = f"portal_archive_{run.started_at:%Y%m%d_%H%M%S}"
    with open_transfer(run, "finalize") as transfer, chain.recorded_last():
        chain.record("finalize", of=run, run=run.pk, by=by, reason=reason, data={"count": TenantHome.objects.count()})
        TenantHome.objects.update(final=True)
        run.capture = False
        run.save(update_fields=["capture"])
        FlowStatus.objects.all().delete()
        plan = directions.backward(transfer.plan, transfer.source_catalog, transfer.target_catalog)
        assert transfer.queue is not None
        # Legacy's first, where nobody writes any more: it comes back if the IAM's cannot be removed.
        with transfer.queue.transaction(), transfer.target.transaction():
            transfer.target.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(archive)))
            transfer.target.execute(SQL("CREATE SCHEMA {}").format(Identifier(archive)))
            for table in _WORKING_TABLES:
                statement = SQL("CREATE TABLE {} AS TABLE {}")
                transfer.target.execute(
                    statement.format(Identifier(archive, table), Identifier("portal_ledger", table))
                )
            capture.remove(transfer.queue, transfer.plan.source_schema)
            capture.remove(transfer.target, plan.source_schema)
    return archive
