"""What is next for a run: read from the tables, never from messages. Harmless to call at any time, from anywhere."""

from __future__ import annotations

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from migration_portal.audit import chain
from migration_portal.engine import kinds, ledger, pressure
from migration_portal.engine.errors import describe
from migration_portal.engine.kinds import Step
from migration_portal.engine.ledger import StepCounts
from migration_portal.engine.transfer import Transfer
from migration_portal.locks import Lock, only_one
from migration_portal.refusal import Refusal
from migration_portal.runs import steps, uncapture
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import IllegalTransition, Run
from migration_portal.runs.states import WORKING, State


def advance(run: Run, transfer: Transfer | None = None) -> int:
    """Plan the steps that are ready, and move the run on when there is nothing left. Returns claimable chunks.

    One caller at a time; the others return 0 at once. A caller that has the two databases open passes its `transfer`.
    An unreachable database is noted on the run.
    """
    with only_one(connection, Lock.RUN, run.pk) as alone:
        if not alone:
            return 0
        run.refresh_from_db()
        try:
            if transfer is not None:
                return _advance(run, transfer)
            with open_transfer(run, "advance") as opened:
                return _advance(run, opened)
        except psycopg.Error as error:
            _note(run, str(describe(error)))
        except Refusal as refusal:
            _note(run, str(refusal))
    return 0


def _note(run: Run, error: str) -> None:
    Run.objects.filter(pk=run.pk).exclude(error=error).update(error=error)


def _advance(run: Run, transfer: Transfer) -> int:
    state = State(run.state)
    if state in (State.PAUSING, State.CANCELLING):
        _settle(run, transfer)
        return 0
    if state not in WORKING:
        return 0
    ledger.give_up(transfer.target, run.key)
    _pause_or_release(run, transfer)
    counts = ledger.counts(transfer.target, run.key)
    wanted = steps_of(run, transfer)
    ready = [
        step for step in wanted if step.name not in counts and all(_finished(counts, name) for name in step.requires)
    ]
    for step in ready:
        ledger.add(transfer.target, run.key, step.name, step.order, kinds.chunks_of(transfer, step))
    if ready:
        counts = ledger.counts(transfer.target, run.key)
    _conclude(run, [counts.get(step.name) for step in wanted])
    return sum(step.waiting for step in counts.values())


def steps_of(run: Run, transfer: Transfer) -> list[Step]:
    """The steps of what the run does now."""
    catalog = transfer.target_catalog
    modes = ledger.modes(transfer.target, run.key)
    if run.state == State.UNDOING:
        return steps.backward(run.plan, catalog, modes, run.undo_attempt)
    return steps.forward(run.plan, catalog, modes, run.verification, dry_run=run.dry_run, capture=run.capture)


def _finished(counts: dict[str, StepCounts], name: str) -> bool:
    return name in counts and counts[name].finished


def _pause_or_release(run: Run, transfer: Transfer) -> None:
    """Hand out no chunks in quiet hours or while legacy is unwell, with the reason shown; hand them out again afterwards."""
    limits = pressure.Limits(
        settings.LEGACY_MAX_TRANSACTION_SECONDS,
        settings.LEGACY_MAX_REPLICA_LAG_SECONDS,
        settings.LEGACY_MAX_LATENCY_SECONDS,
    )
    reason = run.resting(timezone.now()) or pressure.reason_to_hold(transfer.source, limits)
    if reason != run.hold_reason or run.error:
        Run.objects.filter(pk=run.pk).update(hold_reason=reason, error="")
        if bool(reason) != bool(run.hold_reason):
            chain.record("hold" if reason else "release", of=run, run=run.pk, data={"reason": reason}, by="system")
        run.refresh_from_db()


def _settle(run: Run, transfer: Transfer) -> None:
    """Pausing and cancelling end when no worker has a chunk any more."""
    ledger.release(transfer.target, run.key)
    if not any(step.claimed for step in ledger.counts(transfer.target, run.key).values()):
        after = State.PAUSED if run.state == State.PAUSING else State.CANCELLED
        _move(run, after, finished_at=timezone.now() if after == State.CANCELLED else None)
        uncapture.remove_leftovers()


def _conclude(run: Run, counts: list[StepCounts | None]) -> None:
    if all(step is not None and step.finished for step in counts):
        after = State.UNDONE if run.state == State.UNDOING else State.COMPLETED
        _move(run, after, finished_at=timezone.now())
        uncapture.remove_leftovers()
        return
    planned = [step for step in counts if step is not None]
    if any(step.failed for step in planned) and not any(step.waiting or step.claimed for step in planned):
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
