"""Start: a run or a dry run of the configured plan."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from flags import homes
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.engine import catalog, ledger, lookups
from migration_portal.engine.queries import queries
from migration_portal.inventory.expressions import expressions, given
from migration_portal.inventory.tenants_written import tenants_written
from migration_portal.inventory.view_sources import view_sources
from migration_portal.plan import checks
from migration_portal.plan.errors import PlanError
from migration_portal.plan.loader import parse, read
from migration_portal.plan.lookups import Found, resolved
from migration_portal.plan.model import Plan
from migration_portal.refusal import Refusal
from migration_portal.runs.dispatch import call_workers
from migration_portal.runs.models import Chunk, Run
from migration_portal.runs.states import OVER, State


class RunOverlaps(Refusal):
    """Another run of the plan is not finished."""


def start(
    *, by: str, dry_run: bool = False, capture: bool = False, plan_path: str | Path | None = None, plan_text: str = ""
) -> Run:
    """Create the run and hand it to the workers: of the plan's text, or file, or the portal's own.

    With `capture`, changes in legacy are recorded from before the first row is read, and applied
    until the tenants are cut over; a dry run never captures.
    Raises PlanError, DatabaseUnreachable, or RunOverlaps when another run of the plan is under way
    or has left constraints suspended.
    """
    path = Path(plan_path or settings.MIGRATION_PLAN)
    text = plan_text or read(path)
    plan = parse(text, name=path.name)
    if capture and not dry_run:
        _alone(plan)
    found = _check(plan, dry_run=dry_run)
    return _create(plan, text, found, by=by, dry_run=dry_run, capture=capture and not dry_run)


def _alone(plan: Plan) -> None:
    """Raises RunOverlaps where changes are captured for another plan, be it of the same name: one queue is read by one plan.

    A plan that has left some of its tables out is the same.
    """
    for other in filter(_watches, Run.objects.filter(capture=True, dry_run=False).exclude(state__in=OVER)):
        theirs = parse(other.plan_text, name=other.plan_name).watched
        what = ""
        if other.plan_name != plan.name:
            what = f"It captures changes for another plan, {other.plan_name}: those of this one's tables would end its own."
        elif not set(theirs) & set(plan.watched):
            what = f"It captures changes of {', '.join(theirs)}, none of which is in this plan: they would be lost."
        if what:
            todo = "Put the tables into one plan, or take its capture away first (uncapture)."
            raise RunOverlaps(what, subject=str(other), todo=todo)


def _watches(run: Run) -> bool:
    """Whether it has begun to capture: one that was refused before that is in nobody's way."""
    captures = Chunk.objects.filter(run=run.key, kind="capture", state="done")
    return run.state != State.FAILED or captures.exists()


def _check(plan: Plan, *, dry_run: bool) -> Found:
    """What the plan's look-ups find. Raises what keeps the plan from being run now."""
    if not dry_run and (moved := len(homes.in_iam())):
        raise RunOverlaps(
            f"{moved} tenants are at home in the IAM: a run would overwrite what they wrote there.", subject=plan.name,
            todo="Reverse them first, or start a dry run.",
        )  # fmt: skip
    with databases.both("start") as (legacy, iam):
        ledger.install(iam)
        databases.enter(legacy, plan.source_schema)
        with legacy.transaction():
            source = catalog.read(legacy, plan.source_schema)
        target = catalog.read(iam, plan.target_schema)
        found = lookups.found(legacy, iam, plan, target)
        plan = resolved(plan, found)
        findings = checks.check(plan, source, target)
        if not any(finding.severity == "error" for finding in findings):
            findings += [*expressions(legacy, plan, target), *given(iam, plan, target)]
        if not any(finding.severity == "error" for finding in findings):
            findings += [*view_sources(legacy, plan, source), *tenants_written(legacy, plan, source)]
        suspended = [row["run"] for row in ledger.rows(iam, queries("constraints")["runs_with_suspended"])]
    if errors := [finding for finding in findings if finding.severity == "error"]:
        first, others = errors[0], f" And {len(errors) - 1} more." if len(errors) > 1 else ""
        raise PlanError(f"{first.what}{others}", subject=first.subject, todo=f"{first.todo} Then run pre-flight.")
    blocking = Run.objects.filter(key__in=suspended, dry_run=False).order_by("pk").first()
    if blocking is not None and not dry_run:
        raise RunOverlaps(
            "It has left constraints suspended.", subject=str(blocking),
            todo="Finish it, or undo it, which restores them; then start again.",
        )  # fmt: skip
    return found


def _create(plan: Plan, text: str, found: Found, *, by: str, dry_run: bool, capture: bool) -> Run:
    try:
        with transaction.atomic():
            run = Run.objects.create(
                plan_name=plan.name,
                plan_text=text,
                found=found,
                dry_run=dry_run,
                capture=capture,
                started_by=by,
                state=State.RUNNING,
            )
            data = {"plan": plan.name, "plan_checksum": plan.checksum, "dry_run": dry_run, "capture": capture}
            chain.record("start", of=run, run=run.pk, by=by, data=data)
            call_workers(run)
    except IntegrityError:
        other = Run.objects.active().filter(plan_name=plan.name).first()
        raise RunOverlaps(
            f"{other or 'Another run'} of this plan is {other.state if other else 'under way'}.", subject=plan.name,
            todo="Wait for it, or cancel it.",
        ) from None  # fmt: skip
    return run
