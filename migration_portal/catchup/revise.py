"""Revising the plan of a run that is under way: what concerns the way back only, or what is only told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.conf import settings
from django.db import connection, transaction

from migration_portal.audit import chain
from migration_portal.engine import capture, lookups, returning
from migration_portal.engine.errors import describe
from migration_portal.engine.transfer import Transfer
from migration_portal.locks import Lock, only_one
from migration_portal.plan import checks, directions, numbers
from migration_portal.plan.errors import PlanError
from migration_portal.plan.loader import parse, read
from migration_portal.plan.lookups import Found, of_table, resolved
from migration_portal.plan.model import Plan, Table
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.states import OVER

_PATIENCE_SECONDS = 30.0
"""A turn of the loop takes half of that."""


def revise(run: Run, *, by: str, reason: str) -> list[str]:
    """Let the run go on by the plan file as it is now, and by what its look-ups find now; what has come back comes back once more.

    Returns the tables that changed. Raises Refusal: no reason, nothing changed, the run is over; PlanError when more than reverse
    sections, what is accepted or ignored, and quality rules changed, when the way back would not work, or when a look-up no
    longer leads where it led.
    """
    require_reason(reason, to="Revising a plan", subject=str(run))
    if run.state in OVER:
        raise Refusal("It is over.", subject=str(run), todo="Start a run: it begins with the plan as it is.")
    text = read(settings.MIGRATION_PLAN)
    plan = parse(text, name=run.plan_name)
    changed = _changed(parse(run.plan_text, name=run.plan_name), plan)
    with open_transfer(run, "revise") as transfer:
        found = lookups.found(transfer.source, transfer.target, plan, transfer.target_catalog)
        changed += [name for name in _looking_further(run, plan, found) if name not in changed]
        if not changed:
            raise Refusal("The plan file is as the run began with it, and looks up the same.", subject=str(run))
        followed = capture.installed(transfer.target)
        _check(run.plan, resolved(plan, found), transfer, followed=followed)
        with _nobody_comes_back(run), transaction.atomic():
            Run.objects.filter(pk=run.pk).update(plan_text=text, found=found)
            data = {"plan_checksum": plan.checksum, "table": ", ".join(changed)}
            chain.record("revise_plan", of=run, run=run.pk, by=by, reason=reason, data=data)
            # Before the commit: without it, nothing would come back once more, and a second try would find nothing changed.
            for name in changed if followed else ():
                transfer.target.execute("SELECT portal_capture.whole(%s)", [name])
    return changed


@contextmanager
def _nobody_comes_back(run: Run) -> Iterator[None]:
    """Who brings rows back by the plan as it was would take for done what is to come back by the new one. Raises Refusal."""
    with only_one(connection, Lock.MOVES, seconds=_PATIENCE_SECONDS) as unmoved:
        if not unmoved:
            raise Refusal("Tenants are being moved.", subject=str(run), todo="Wait for the moves to end.")
        with only_one(connection, Lock.FOLLOW, 2, seconds=_PATIENCE_SECONDS) as unfollowed:
            if not unfollowed:
                raise Refusal(
                    "The loop that brings rows back does not end its turn.", subject=str(run), todo="Try again."
                )
            yield


def _changed(before: Plan, after: Plan) -> list[str]:
    """The tables whose way back or rules are others. Raises PlanError where anything else is."""
    old, new = ({table.target: table for table in plan.tables} for plan in (before, after))
    others = [name for name in new if name not in old or _forward(new[name]) != _forward(old[name])]
    others += [name for name in old if name not in new]
    schemas = [
        (plan.name, plan.source_schema, plan.target_schema, plan.rows, [*names])
        for plan, names in ((before, old), (after, new))
    ]
    if numbers.given_for(before) != numbers.given_for(after):
        others += sorted(numbers.given_for(before) ^ numbers.given_for(after))
    if others or schemas[0] != schemas[1]:
        raise PlanError(
            f"More than reverse sections and quality rules changed: {', '.join(others) or 'its tables, rows or schemas'}.",
            subject=after.name, todo="Put that back, or undo the run and start another with the new plan.",
        )  # fmt: skip
    return [name for name in new if new[name] != old[name]]


def _looking_further(run: Run, plan: Plan, found: Found) -> list[str]:
    """The tables whose look-ups find more than they did. Raises PlanError where one finds something else, or less."""
    for name, pairs in found.items():
        if lost := {word: key for word, key in run.found.get(name, {}).items() if pairs.get(word) != key}:
            word, key = min(lost.items())
            renamed = key in pairs.values()
            raise PlanError(
                f"The IAM's row {word!r} {'has another name' if renamed else 'is another'} than when the run began.", subject=name,
                todo=f"Give it its {'name' if renamed else 'key'} again, or undo the run and start another.",
            )  # fmt: skip
    more = {name for name, pairs in found.items() if pairs != run.found.get(name, {})}
    return [table.target for table in plan.tables if more & {lookup.name for lookup in of_table(table)}]


def _forward(table: Table) -> Table:
    """What copying, following and verifying work with."""
    reads = tuple(replace(each, reverse=(), ignored=(), lossy=(), where="") for each in table.reads)
    return replace(table, reverse=(), lossy=(), ignored=(), quality=(), reads=reads)


def _check(before: Plan, plan: Plan, transfer: Transfer, *, followed: bool) -> None:
    """Raises PlanError. Once the IAM's changes are `followed`, its triggers stand where the way back begins."""
    if followed and _led_back(plan) != _led_back(before):
        raise PlanError(
            "Which tables have a way back is settled once tenants could have moved.", subject=plan.name,
            todo="Change what the reverse sections say, and leave them where they are.",
        )  # fmt: skip
    if followed and (lost := checks.lost_in_reverse(plan, transfer.source_catalog)):
        named = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in lost.items())
        raise PlanError(f"Reversing would lose: {named}.", subject=plan.name, todo="Add them to the reverse sections.")
    for finding in checks.check(plan, transfer.source_catalog, transfer.target_catalog):
        if finding.severity == "error":
            raise PlanError(finding.what, subject=finding.subject, todo=finding.todo)
    back = directions.backward(plan, transfer.source_catalog, transfer.target_catalog)
    for refusal in returning.unfollowed(plan, back, transfer.source_catalog, transfer.target_catalog):
        raise refusal
    for subject, (_, error) in returning.failing(transfer.target, back, transfer.source_catalog).items():
        raise PlanError(f"Its reverse expression fails: {describe(error).what}", subject=subject, todo="Correct it.")
    for refusal in returning.leaving(transfer.source, plan, transfer.source_catalog, transfer.target_catalog):
        raise refusal


def _led_back(plan: Plan) -> list[tuple[str, bool, list[str]]]:
    return [
        (each.target, bool(each.reverse), [read.source for read in each.reads if read.reverse]) for each in plan.tables
    ]
