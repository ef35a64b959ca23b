"""Executing a roll-back: start it, go on with it, and a person's decisions about its steps.

A step's action says what came of it, or None while it waits; then the tick asks it again. Every action can be asked again after
a kill: it looks first whether what it does is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from flags import maintenance
from flags.models import Flag, TenantHome
from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.backups.models import Backup, Side
from migration_portal.engine.errors import describe
from migration_portal.locks import Lock, only_one
from migration_portal.monitoring import alerts
from migration_portal.monitoring.alerts import ROLL_BACK, Condition
from migration_portal.refusal import Refusal, require_reason
from migration_portal.rollback.actions import ACTIONS
from migration_portal.rollback.models import Asks, Judgement, NotNeeded, RollBack, Step, Stopped
from migration_portal.rollback.plans import OF_FEATURES, Kind, planned
from migration_portal.rollback.rehearse import REHEARSED, clear

log = structlog.get_logger(__name__)
_SYSTEM = "system"
_UNDER_WAY = f"{ROLL_BACK}under way"


def start(
    kind: Kind, *, by: str, reason: str, wave: str = "", features: Sequence[str] = (), backup: Backup | None = None,
    rehearsal: bool = False, judgement: Judgement | None = None,
) -> RollBack:  # fmt: skip
    """Write the plan down and tell the workers. Raises Refusal."""
    require_reason(reason, to="Rolling back")
    _require(kind, features, backup)
    if not rehearsal:
        _require_tenants(kind, wave, backup)
        if under_way := RollBack.objects.under_way().filter(rehearsal=True).first():  # it makes room
            stop(under_way, by=by, reason="A roll-back is needed.")
    asks = frozenset() if rehearsal else frozenset(settings.ROLLBACK_ASKS)
    try:
        with transaction.atomic():
            made = RollBack.objects.create(
                kind=kind, rehearsal=rehearsal, wave=wave, features=list(features), backup=backup, judgement=judgement,
                requested_by=by, reason=reason,
            )  # fmt: skip
            Step.objects.bulk_create(
                Step(of=made, ordinal=number, phase=each.phase, action=each.action, asks=each.asks)
                for number, each in enumerate(planned(kind, asks=asks), start=1)
            )
            if not rehearsal:  # from this moment on, not from the next verdict: no tenant is cut over meanwhile
                alerts.tell([_under_way(made)], of=_UNDER_WAY)
            if backup is not None:
                Backup.objects.filter(pk=backup.pk).update(kept_for=str(made))
            verb = "rehearse_roll_back" if rehearsal else "roll_back"
            chain.record(verb, of=made, by=by, reason=reason, data={"state": str(kind), "wave": wave})
            transaction.on_commit(lambda: messages.send("rollback.go_on", queue="operate"))
    except IntegrityError:
        other = RollBack.objects.under_way().first()
        raise Refusal(
            "It is under way.", subject=str(other or "another"), todo="Wait for its end, or stop it."
        ) from None
    return made


def _require(kind: Kind, features: Sequence[str], backup: Backup | None) -> None:
    if kind in OF_FEATURES:
        unknown = set(features) - set(Flag.objects.values_list("name", flat=True))
        if unknown or not features:
            what = f"There is no feature {', '.join(sorted(unknown))}." if unknown else "No feature was chosen."
            raise Refusal(what, subject=str(kind), todo="Choose those to switch off.")
    if kind == Kind.FULL and (
        backup is None or backup.side == Side.PORTAL or backup.state != "done" or backup.level != Backup.VALIDATED
    ):
        raise Refusal(
            "It needs a validated backup of legacy or the IAM.", subject=str(backup or kind),
            todo="Choose one of level 3. The portal's own is restored by hand: docs/backups.md.",
        )  # fmt: skip


def _require_tenants(kind: Kind, wave: str, backup: Backup | None) -> None:
    moved = TenantHome.objects.filter(home=TenantHome.Home.IAM)
    if kind == Kind.IMMEDIATE and not moved.filter(wave=wave).exists():
        raise Refusal(
            "None of its tenants lives in the IAM.",
            subject=f"wave {wave or '(without a name)'}",
            todo="Name another wave.",
        )
    if kind == Kind.FULL and backup is not None and backup.side == Side.IAM:
        later = moved.filter(changed_at__gt=backup.taken_at or backup.requested_at)
        if later.exists():
            raise Refusal(
                f"It is from before {later.count():,} tenants came to the IAM: what they wrote is not in it.", subject=str(backup),
                todo="Choose a later one, or move them back first (immediate).",
            )  # fmt: skip


def go_on() -> None:
    """Go on with the roll-back that is under way, in one worker at a time, until it ends, waits or needs a person."""
    made = RollBack.objects.under_way().first()
    if made is None:
        return
    # A real one does not wait for the worker of a rehearsal that was stopped.
    with only_one(connection, Lock.ROLL_BACK, 1 if made.rehearsal else 2) as alone:
        while alone and RollBack.objects.under_way().filter(pk=made.pk).exists() and _one_step(made):
            pass


def _one_step(made: RollBack) -> bool:
    """Whether to look at the next at once."""
    step = made.step
    if step is None:
        _end(made, RollBack.Outcome.DONE, by=_SYSTEM)
        return False
    if step.state in (Step.State.FAILED, Step.State.ASKS):
        return False
    if step.asks and not step.decided_by:
        step.ask("")
        return False
    if step.state == Step.State.WAITING:
        Step.objects.filter(pk=step.pk).update(state=Step.State.RUNNING, began_at=timezone.now())
    ended = _carry_out(step)
    if ended is None:
        return False
    step.end(*ended)
    if ended[0] == Step.State.FAILED:
        log.warning("roll_back_step_failed", action=step.action, why=ended[1])
    return ended[0] != Step.State.FAILED


def _carry_out(step: Step) -> tuple[str, str] | None:
    """The state in which the step's action ended, and what came of it; None while it waits, asks, or was stopped."""
    action = REHEARSED.get(step.action) if step.of.rehearsal else None
    try:
        said = (action or ACTIONS[step.action])(step)
    except NotNeeded as reason:
        return Step.State.NOT_NEEDED, str(reason)
    except Asks as asked:
        step.ask(str(asked))
        return None
    except Stopped:
        return None
    except Refusal as refusal:
        return Step.State.FAILED, str(refusal)
    except (DatabaseError, psycopg.Error) as error:  # a server that is away comes back; the tick tries again
        step.tell(f"Tried again: {describe(error) if isinstance(error, psycopg.Error) else error}")
        return None
    except OSError as error:
        return Step.State.FAILED, f"{error}. Make room, or give access, and try again."
    except Exception as error:  # a mistake of ours: a person reads its name here, the log has the rest
        log.exception("roll_back_step_broke", action=step.action)
        return Step.State.FAILED, f"Internal error ({type(error).__name__}). See the log of the workers of “operate”."
    return None if said is None else (Step.State.DONE, said)


def _end(made: RollBack, outcome: str, *, by: str, reason: str = "") -> None:
    """Raises Refusal when it has ended. A rehearsal leaves nothing behind."""
    with transaction.atomic():
        if not RollBack.objects.under_way().filter(pk=made.pk).update(ended_at=timezone.now(), outcome=outcome):
            raise Refusal("It has ended.", subject=str(made))
        Backup.objects.filter(kept_for=str(made)).update(kept_for="")
        verb = "stop_roll_back" if outcome == RollBack.Outcome.STOPPED else "roll_back_ended"
        chain.record(verb, of=made, by=by, reason=reason, data={"state": outcome})
    if made.rehearsal:
        clear(made)


def approve(step: Step, *, by: str, reason: str = "") -> None:
    """Let a step begin that waits for a person; for one done by hand: it is done. Raises Refusal."""
    _decide(step, Step.State.ASKS, Step.State.RUNNING, "approve_step", by=by, reason=reason)


def retry(step: Step, *, by: str) -> None:
    """Try a failed step again. Raises Refusal."""
    _decide(step, Step.State.FAILED, Step.State.RUNNING, "retry_step", by=by, reason="")


def skip(step: Step, *, by: str, reason: str) -> None:
    """Go on without a step that failed, or asks. Raises Refusal."""
    require_reason(reason, to="Skipping a step", subject=str(step))
    was = step.state if step.state == Step.State.ASKS else Step.State.FAILED
    _decide(step, was, Step.State.SKIPPED, "skip_step", by=by, reason=reason)


def _decide(step: Step, was: str, now: str, verb: str, *, by: str, reason: str) -> None:
    with transaction.atomic():
        moment = timezone.now()
        times = {"ended_at": moment} if now == Step.State.SKIPPED else {"began_at": moment, "ended_at": None}
        changed = Step.objects.filter(pk=step.pk, state=was, of__ended_at=None).update(
            state=now, decided_by=by, reason=reason, **times
        )
        if not changed:
            raise Refusal("It has gone on meanwhile.", subject=str(step), todo="Reload the page.")
        chain.record(verb, of=step.of, by=by, reason=reason, data={"field": step.action})
        transaction.on_commit(lambda: messages.send("rollback.go_on", queue="operate"))


def stop(made: RollBack, *, by: str, reason: str) -> None:
    """Go no further. What was done stays done; doors that were closed stay closed until somebody opens them. Raises Refusal."""
    require_reason(reason, to="Stopping", subject=str(made))
    _end(made, RollBack.Outcome.STOPPED, by=by, reason=reason)
    note(made, f"Stopped: {reason}", by=by)


def note(made: RollBack, text: str, *, by: str) -> None:
    """Add a line to its notes. Raises Refusal for none."""
    if not text:
        raise Refusal("There is nothing to note.", subject=str(made))
    line = f"{timezone.now():%Y-%m-%d %H:%M} {by}: {text[:1000]}"
    with transaction.atomic():
        there = RollBack.objects.select_for_update().get(pk=made.pk)
        there.notes = "\n".join(filter(None, [there.notes, line]))
        there.save(update_fields=["notes"])
        chain.record("note_roll_back", of=made, by=by, reason=text[:1000])


def conditions() -> Iterator[Condition]:
    """What somebody must know: a roll-back that needs a person, and doors that are closed though none is under way."""
    made = RollBack.objects.under_way().filter(rehearsal=False).first()
    if made is not None:
        step = made.step
        if step is not None and step.needs_person:
            why = step.detail or "it waits for somebody to agree."
            yield Condition(f"{ROLL_BACK}needs a person", "critical", f"{made}: {step}: {why}", "See Roll-back.")
        else:
            yield _under_way(made)
    elif (closed := maintenance.current()) is not None:
        what = f"The doors are closed to writes: {closed.reason}"
        yield Condition(f"{ROLL_BACK}doors", "critical", what, "Open them under Roll-back when that is over.")


def _under_way(made: RollBack) -> Condition:
    return Condition(_UNDER_WAY, "warning", f"{made} is under way.", "See Roll-back.")
