"""What actions do in a rehearsal: everything up to where somebody would notice."""

from __future__ import annotations

import shutil
from collections import Counter

import psycopg
import structlog
from django.conf import settings
from django.db.models import Avg

from flags.models import TenantHome
from migration_portal.backups import restore, scratch
from migration_portal.backups.models import Restoration
from migration_portal.backups.since import list_written as list_since
from migration_portal.backups.since import opened_beside
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.blockers import blockers
from migration_portal.cutover.models import Cutover
from migration_portal.plan.loader import load
from migration_portal.refusal import Refusal
from migration_portal.rollback import moving
from migration_portal.rollback.models import NotNeeded, RollBack, Step
from migration_portal.rollback.restoring import files_of, restoration_of
from migration_portal.runs.connections import open_transfer

log = structlog.get_logger(__name__)
_NAMED = 3


def stop_ramps(step: Step) -> str:
    names = moving.growing()
    return (
        f"Would stop: {', '.join(names)}." if names else "No ramp is under way, and no change is scheduled that widens."
    )


def switch_off_features(step: Step) -> str:
    return f"Would go off for everybody: {', '.join(step.of.features)}."


def close_doors(step: Step) -> str:
    return "Would answer writes with 503 and Retry-After."


def open_doors(step: Step) -> str:
    return "Would answer everything again."


def reverse_tenants(step: Step) -> str:
    """Asks for each tenant what would keep it from being moved. Raises Refusal for the first of them."""
    found, run = moving.in_scope(step.of), captured_run()
    if not found or run is None:
        raise NotNeeded("No tenant of it lives in the IAM.")
    blocked: Counter[str] = Counter()
    with open_transfer(run, "rehearsal") as transfer:
        for tenant in found:
            blocked.update(blockers(tenant, TenantHome.Home.LEGACY, transfer, run)[:1])
    if blocked:
        why = "; ".join(f"{what} ({count:,})" for what, count in blocked.most_common(_NAMED))
        raise Refusal(f"Could not be moved: {blocked.total():,} of {len(found):,} tenants: {why}")
    hold = Cutover.objects.filter(state="done").aggregate(ms=Avg("hold_ms"))["ms"]
    holding = f" Writes of each waited for {hold:.0f} ms in earlier moves." if hold else ""
    return f"Would move {len(found):,} tenants; nothing keeps one from it.{holding}"


def undo_run(step: Step) -> str:
    run = captured_run()
    if run is None:
        raise NotNeeded("No run has copied anything that is still there.")
    return f"Would undo {run}."


def swap_database(step: Step) -> str:
    """Renames what was restored, and back: the server lets us. Raises Refusal, psycopg.Error."""
    made = restoration_of(step)
    aside = f"{made.into}_aside"
    with scratch.server_of(made.backup.side) as server:
        for name, new in ((made.into, aside), (aside, made.into)):
            if scratch.exists(server, name):  # not after a kill in between
                server.execute(scratch.renaming(name, new))
        row = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [scratch.name_of(made.backup.side)]
        ).fetchone()
    return f"Renamed and back. It would end {row[0] if row else 0} sessions."


def list_written(step: Step) -> str:
    """Against the side's database as it is now."""
    with opened_beside(restoration_of(step), load(settings.MIGRATION_PLAN)) as pair:
        found = list_since(pair, lambda done, total: step.tell(f"Compared: {done} of {total} tables."))
    rows, tenants = sum(sum(counts.values()) for counts in found.values()), len({tenant for tenant, _ in found})
    return f"Would have to be decided: {rows:,} rows of {tenants:,} tenants."


def clear(made: RollBack) -> None:
    """Drop what it restored and remove what it unpacked, wherever it ended."""
    shutil.rmtree(files_of(made), ignore_errors=True)
    step = made.steps.filter(action="restore_backup").first()  # type: ignore[attr-defined]
    restored = Restoration.objects.filter(pk=(step.data.get("restoration") if step else None) or 0).first()
    if restored is not None and restored.state in ("restored", "failed"):
        try:
            restore.drop(restored, by=f"roll-back {made.pk}")
        except (Refusal, psycopg.Error) as error:
            log.warning("rehearsal_not_cleared", restoration=str(restored), error=str(error).splitlines()[0])


def nothing(step: Step) -> str:
    raise NotNeeded("Not in a rehearsal.")


REHEARSED = {
    "stop_ramps": stop_ramps, "switch_off_features": switch_off_features, "close_doors": close_doors,
    "open_doors": open_doors, "reverse_tenants": reverse_tenants, "undo_run": undo_run, "swap_database": swap_database,
    "list_written": list_written, "decide_written": nothing, "place_files": nothing, "apply_configuration": nothing,
    "compare_tenants": nothing, "notify": nothing,
}  # fmt: skip
"""The others do in a rehearsal what they always do: they restore beside, unpack beside, and look."""
