"""Actions that look whether all is well afterwards, and tell people."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from flags.models import TenantHome
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.differences import unlisted
from migration_portal.engine.verify.tenants import compare_tenant
from migration_portal.monitoring import alerts, synthetic
from migration_portal.monitoring.parts import parts
from migration_portal.refusal import Refusal
from migration_portal.rollback.models import NotNeeded, Step
from migration_portal.runs.connections import open_transfer

_NAMED = 3
_SETTLING = timedelta(seconds=60)


def check_services(step: Step) -> str | None:
    """Waits a moment first: a swap has ended the sessions of every loop."""
    troubles = [f"{part.name}: {part.trouble}" for part in parts() if part.trouble]
    if troubles and timezone.now() - (step.began_at or timezone.now()) < _SETTLING:
        step.tell(f"Not yet. {' '.join(troubles)}")
        return None
    if troubles:
        raise Refusal(" ".join(troubles), todo="Correct that and try again, or skip the check.")
    return f"Well: {sum(part.state == 'ok' for part in parts())} parts."


def check_sign_in(step: Step) -> str:
    if not settings.CHECKPOINT_USER:
        raise NotNeeded("CHECKPOINT_USER names no user to sign in as.")
    user = settings.CHECKPOINT_USER.split(":", 2)
    if trouble := synthetic.legacy_door(*user):
        raise Refusal(trouble, subject="legacy endpoints", todo="See the log of the web server, and try again.")
    return "Signed in, read and refreshed through the legacy endpoints."


def compare_tenants(step: Step) -> str:
    """Each tenant that was moved back, row by row. Raises Refusal for those that differ."""
    moved = step.before("reverse_tenants")
    wanted = moved.data.get("tenants", []) if moved else []
    run = captured_run()
    if not wanted or run is None:
        raise NotNeeded("No tenant was moved.")
    different: list[str] = []
    homes = TenantHome.objects.filter(pk__in=wanted, home=TenantHome.Home.LEGACY)
    with open_transfer(run, "roll-back") as transfer:
        both_ways = {table.target for table in transfer.plan.tables if table.returns}
        for number, tenant in enumerate(homes):
            step.tell(f"Compared: {number:,} of {len(homes):,}.")
            # What legacy has of its own, and what is listed as a stray write, is no difference that a roll-back could mend.
            differing = unlisted(compare_tenant(transfer, tenant.legacy_tenant, tenant.tenant), transfer, tenant)
            if found := differing.keys() & both_ways:
                different.append(f"{tenant} ({', '.join(sorted(found))})")
    if different:
        shown = f"{', '.join(different[:_NAMED])}{' and others' if len(different) > _NAMED else ''}"
        raise Refusal(
            f"Different on the two sides: {len(different):,} tenants: {shown}.",
            todo="Catch-up may not be through: try again. If they stay, verify, and see the stray writes.",
        )
    return f"Equal on both sides: {len(homes):,} tenants."


def notify(step: Step) -> str:
    made = step.of
    skipped = [str(each) for each in made.steps.filter(state=Step.State.SKIPPED)]  # type: ignore[attr-defined]
    without = f" Skipped: {', '.join(skipped)}." if skipped else ""
    told = alerts.inform(f"{made} is through, {made.seconds} s after it was requested.{without}")
    return f"Told: {told} places." if told else "ALERT_PLACES names nobody; it is on record here."
