"""What is next for a run: read from the tables, never from messages. Harmless to call at any time, from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.engine import boundaries, constraints, ledger, pressure, undo, verification
from migration_portal.engine.errors import describe
from migration_portal.engine.ledger import NewChunk, StepCounts
from migration_portal.engine.sides import Sides
from migration_portal.plan.errors import Refusal
from migration_portal.runs import steps
from migration_portal.runs.models import IllegalTransition, Run
from migration_portal.runs.opening import sides_of
from migration_portal.runs.states import WORKING, State
from migration_portal.runs.steps import Step

_LOCK_CLASS = 0x5167


def advance(run: Run) -> int:
    """Plan the steps that are ready, and move the run on when there is nothing left. Returns claimable chunks.

    One caller at a time; the others return 0 at once. An unreachable database is noted on the run.
    """
    with _only_one(run) as alone:
        if not alone:
            return 0
        run.refresh_from_db()
        try:
            with sides_of(run, "advance") as sides:
                return _advance(run, sides)
        except psycopg.Error as error:
            _note(run, str(describe(error)))
        except Refusal as refusal:
            _note(run, str(refusal))
    return 0


@contextmanager
def _only_one(run: Run) -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK_CLASS, run.pk])
        locked = bool(cursor.fetchone()[0])
        try:
            yield locked
        finally:
            if locked:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK_CLASS, run.pk])


def _note(run: Run, error: str) -> None:
    Run.objects.filter(pk=run.pk).exclude(error=error).update(error=error)


def _advance(run: Run, sides: Sides) -> int:
    state = State(run.state)
    if state in (State.PAUSING, State.CANCELLING):
        _settle(run, sides)
        return 0
    if state not in WORKING:
        return 0
    ledger.give_up(sides.iam, run.key)
    _hold_or_go(run, sides)
    counts = ledger.counts(sides.iam, run.key)
    wanted = steps_of(run, sides)
    for step in wanted:
        if step.name not in counts and all(_finished(counts, name) for name in step.requires):
            chunks = list(_chunks(run, sides, step)) or [NewChunk("nothing", step.table)]
            ledger.add(sides.iam, run.key, step.name, step.order, chunks)
    counts = ledger.counts(sides.iam, run.key)
    _conclude(run, [counts.get(step.name) for step in wanted])
    return sum(found.waiting for found in counts.values())


def steps_of(run: Run, sides: Sides) -> list[Step]:
    """The steps of what the run does now."""
    if run.state == State.UNDOING:
        return steps.backward(run.plan, sides.target, run.undo_attempt)
    modes = ledger.modes(sides.iam, run.key)
    return steps.forward(run.plan, sides.target, modes, run.verification, dry_run=run.dry_run, capture=run.capture)


def _finished(counts: dict[str, StepCounts], name: str) -> bool:
    return name in counts and counts[name].finished


def _chunks(run: Run, sides: Sides, step: Step) -> Iterator[NewChunk]:
    if step.kind in ("capture", "prepare", "catch_up", "sweep"):
        yield NewChunk(step.kind, "")
        return
    if step.kind == "check":
        yield NewChunk("check", "", spec={"verification": run.verification})
        return
    table = sides.table(step.table)
    match step.kind:
        case "copy":
            yield from boundaries.copy_chunks(sides, table)
        case "index":
            yield from constraints.build_chunks(sides, table, ["unique", "index"])
        case "foreign":
            yield from constraints.adopt_chunks(sides, table)
            yield from constraints.build_chunks(sides, table, ["foreign_key"])
        case "verify":
            yield NewChunk("analyze", table.target)
            yield from verification.pieces(sides, table, run.verification)
        case "compare":
            yield verification.comparison(table, run.verification)
        case "undo":
            yield from undo.pieces(sides, table)
        case "conclude":
            yield NewChunk("conclude", table.target)
        case "reindex":
            yield from constraints.build_chunks(sides, table, ["unique", "index"], settle=False)
        case "reforeign":
            yield from constraints.adopt_chunks(sides, table)
            yield from constraints.build_chunks(sides, table, ["foreign_key"], settle=False)


def _hold_or_go(run: Run, sides: Sides) -> None:
    limits = pressure.Limits(
        settings.LEGACY_MAX_TRANSACTION_SECONDS,
        settings.LEGACY_MAX_REPLICA_LAG_SECONDS,
        settings.LEGACY_MAX_LATENCY_SECONDS,
    )
    reason = pressure.reason_to_hold(sides.legacy, limits)
    if reason != run.hold_reason or run.error:
        Run.objects.filter(pk=run.pk).update(hold_reason=reason, error="")
        if bool(reason) != bool(run.hold_reason):
            chain.record("hold" if reason else "release", of=run, run=run.pk, data={"reason": reason}, by="system")
        run.refresh_from_db()


def _settle(run: Run, sides: Sides) -> None:
    """Pausing and cancelling end when nobody works on a chunk any more."""
    ledger.release(sides.iam, run.key)
    if not any(found.claimed for found in ledger.counts(sides.iam, run.key).values()):
        after = State.PAUSED if run.state == State.PAUSING else State.CANCELLED
        _move(run, after, finished_at=timezone.now() if after == State.CANCELLED else None)


def _conclude(run: Run, counts: list[StepCounts | None]) -> None:
    if all(found is not None and found.finished for found in counts):
        after = State.UNDONE if run.state == State.UNDOING else State.COMPLETED
        _move(run, after, finished_at=timezone.now())
        return
    known = [found for found in counts if found is not None]
    if any(found.failed for found in known) and not any(found.waiting or found.claimed for found in known):
        _move(run, State.CANCELLED if run.state == State.UNDOING else State.FAILED)


def _move(run: Run, state: State, **changes: object) -> None:
    before = run.state
    try:
        with transaction.atomic():
            run.move_to(state, **changes)
            chain.record(
                f"run_{state.value}", of=run, run=run.pk, data={"from": before, "to": state.value}, by="system"
            )
    except IllegalTransition:
        pass  # the operator asked for something else in the meantime: the next advance sees it
