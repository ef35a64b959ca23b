"""Moving one tenant: hold its writes, drain its lag, verify what was touched, flip its home, release.

Until the flip nothing has changed, and whatever goes wrong before it drops the hold. The flip is
one row in the portal's database; the guards on both sides follow it, closing the old one first,
so that at every instant at most one side accepts writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from flags import homes
from flags.models import TenantHome
from migration_portal.audit import chain
from migration_portal.catchup.flows import captured_run
from migration_portal.cutover.blockers import Blocked, blockers
from migration_portal.cutover.differences import require_none, unlisted
from migration_portal.cutover.follow_up import follow_up
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.movers import Mover, Sessions
from migration_portal.engine import capture, capture_queue, guard, sequences
from migration_portal.engine.catchup import batches, merging, shared
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.errors import describe, passing
from migration_portal.engine.source import in_target
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify import tenants
from migration_portal.refusal import Refusal
from migration_portal.runs import ownership
from migration_portal.runs.connections import still_ours

log = structlog.get_logger(__name__)
_COMPARISONS = 3
_POLL_SECONDS = 0.02
_ATTEMPTS = 3
"""For what passes by itself: a server that restarts, a deadlock."""


class HomeUnknown(Refusal):
    """The flip may have been committed, and nobody can be asked."""


class Stopped(Refusal):
    """An operator stopped the move before its flip."""


def move(cutover: Cutover, mover: Mover) -> None:
    """Make the move that was requested; when it cannot be made, it is blocked with the reason and nothing has changed."""
    started = time.monotonic()
    for attempt in range(_ATTEMPTS):
        try:
            _move(cutover, mover)
            break
        except (Refusal, psycopg.Error) as error:
            if not isinstance(error, Blocked):
                mover.close()  # whatever its sessions were in the middle of
            refusal = error if isinstance(error, Refusal) else describe(error)
        cutover.refresh_from_db()
        if cutover.state == Cutover.State.DONE:
            log.warning("follow_up_later", tenant=cutover.tenant_id, error=str(refusal))
            break  # it failed after the flip: the loop resumes what follows
        if isinstance(refusal, Stopped):
            TenantHome.objects.filter(pk=cutover.tenant_id).update(held_until=None)
            break
        if passing(refusal) and attempt < _ATTEMPTS - 1:
            time.sleep(0.5)
            continue
        if isinstance(refusal, HomeUnknown):
            log.error("home_unknown", tenant=cutover.tenant_id)
            break  # it is made again, or found made, once the portal's database answers
        with transaction.atomic():
            TenantHome.objects.filter(pk=cutover.tenant_id).update(held_until=None)
            if _advance(cutover, Cutover.State.BLOCKED, error=str(refusal), finished_at=timezone.now()):
                chain.record(
                    "block_move", of=cutover.tenant, by=cutover.requested_by, reason=str(refusal)[:500],
                    data={"home": cutover.home, "wave": cutover.wave},
                )  # fmt: skip
        break
    log.info("move", tenant=cutover.tenant_id, home=cutover.home, seconds=round(time.monotonic() - started, 3))


def _advance(cutover: Cutover, state: Cutover.State, **values: Any) -> int:
    """To the next state; 0 when it was stopped or made meanwhile."""
    return Cutover.objects.under_way().filter(pk=cutover.pk).update(state=state, **values)


def _move(cutover: Cutover, mover: Mover) -> None:
    run = captured_run()
    if run is None:
        raise Refusal("No run captures changes.", subject=str(cutover.tenant), todo="Start a run with capture.")
    tenant = cutover.tenant
    tenant.refresh_from_db()
    if not _advance(cutover, Cutover.State.PREPARING):
        return  # stopped, or an attempt before this one was made after all
    with_ = mover.sessions(run, cutover.home)
    if reasons := blockers(tenant, cutover.home, with_.ahead, run):
        raise Blocked(" ".join(reasons), subject=str(tenant), todo="Nothing has changed.")
    shared.share(with_.back)
    step = _Move(cutover, tenant, with_)
    suspicious = step.prepare()
    step.hold_and_flip(suspicious)


@dataclass
class _Move:
    """One tenant's, at work."""

    cutover: Cutover
    tenant: TenantHome
    sessions: Sessions

    @property
    def flow(self) -> Flow:
        return self.sessions.flow

    @property
    def ahead(self) -> Transfer:
        return self.sessions.ahead

    @property
    def old(self) -> psycopg.Connection[Any]:
        return self.sessions.old

    @property
    def new(self) -> psycopg.Connection[Any]:
        return self.sessions.new

    @property
    def _ids(self) -> tuple[str, str]:
        """The tenant as the old side writes it, and as the new one does."""
        legacy, iam = self.tenant.legacy_tenant, self.tenant.tenant
        return (legacy, iam) if self.flow.direction == "forward" else (iam, legacy)

    def prepare(self) -> bool:
        """Before the hold: drain, and compare the whole tenant. Returns whether rows still differed, perhaps in flight."""
        # Who asks again may have corrected what kept them.
        capture_queue.due_now(self.flow.queue, self._ids[0])
        for _ in range(_COMPARISONS):
            self._unless_stopped(Cutover.State.PREPARING)
            until = time.monotonic() + settings.CUTOVER_DRAIN_SECONDS
            with self._in_time(until):
                self._list_strays(until)
                batches.drain(self.flow, tenant=self._ids[0], deadline=until)
            if not tenants.compare_tenant(self.ahead, self.tenant.legacy_tenant, self.tenant.tenant):
                return False
        return True

    def hold_and_flip(self, suspicious: bool) -> None:
        seconds = float(settings.CUTOVER_HOLD_SECONDS)
        begun = time.monotonic()
        self._unless_stopped(Cutover.State.HOLDING)
        TenantHome.objects.filter(pk=self.tenant.pk).update(held_until=Now() + timedelta(seconds=seconds))
        with ExitStack() as stack:
            stack.callback(self._release)
            if not homes.wait_for_writers(self.tenant.tenant, seconds=seconds):
                raise Refusal(
                    "A request that writes to it did not end in time.", subject=str(self.tenant),
                    todo="Nothing has changed. Look for slow requests in the request log, then ask for the move once more.",
                )  # fmt: skip
            guard.hold(self.old, self._ids[0], seconds=seconds)
            plan = self.flow.transfer.plan
            if gone := capture.unwatched(self.old, plan):
                raise Refusal(
                    f"Changes of {', '.join(gone)} are not recorded: its triggers are gone or switched off.",
                    subject=str(self.tenant), todo="Nothing has changed. Find out who did that, then verify again.",
                )  # fmt: skip
            capture.keep_up(self.old, plan, self.flow.transfer.source_catalog)
            guard.wait_for_writers(self.old, plan, until=begun + seconds, ours=self._processes())
            stack.enter_context(self._in_time(begun + seconds))
            self._apply_the_rest(suspicious, until=begun + seconds)
            # Rows of nobody, or of tables without a tenant, are written by those whom nobody holds.
            while waiting := self._flip(begun, seconds):
                if time.monotonic() > begun + seconds:
                    raise Refusal(
                        f"{waiting} of its changes could not be applied in time.", subject=str(self.tenant),
                        todo="Nothing has changed. Look at the entries that are tried again, then ask for the move once more.",
                    )  # fmt: skip
                time.sleep(_POLL_SECONDS)
                self._apply_the_rest(False, until=begun + seconds)
        follow_up(self.cutover, self.ahead)

    def _unless_stopped(self, state: Cutover.State) -> None:
        if not _advance(self.cutover, state):
            raise Stopped("It was stopped.", subject=str(self.tenant), todo="Nothing has changed.")

    def _release(self) -> None:
        with suppress(psycopg.Error):
            guard.release(self.old, self._ids[0])

    @contextmanager
    def _in_time(self, until: float) -> Iterator[None]:
        """Bound every statement: whatever blocks it must not hold the tenant for longer."""
        left = f"{max(int((until - time.monotonic()) * 1000), 1)}ms"
        sessions = self.sessions.all
        for session in sessions:
            session.execute("SELECT set_config('statement_timeout', %s, false)", [left])
        try:
            yield
        finally:
            for session in sessions:
                with suppress(psycopg.Error):
                    session.execute("SET statement_timeout = 0")

    def _apply_the_rest(self, suspicious: bool, *, until: float) -> None:
        """Apply what waits, and compare what that touched."""
        self._list_strays(until)
        done = batches.drain(self.flow, tenant=self._ids[0], deadline=until)
        touched = [tenants.compare_keys(self.ahead, *self._in_legacy(*keys)) for keys in done.touched.items()]
        if suspicious or done.whole or any(touched):
            # Perhaps only rows that have moved on to a tenant that nobody holds: ask about this one alone.
            differences = tenants.compare_tenant(self.ahead, self.tenant.legacy_tenant, self.tenant.tenant)
            if self.flow.direction == "reverse":
                differences = unlisted(differences, self.ahead, self.tenant)
            require_none(differences, self.tenant)
        sequences.advance(self.new, self.flow.transfer.plan)

    def _list_strays(self, until: float) -> None:
        """What was written on the side that does not own it is listed before the owner's row is written over it.

        Afterwards both sides would be equal, and the entry one of a tenant at home there.
        """
        if self.sessions.against.transfer.plan.tables:  # of a plan that brings nothing back, nothing is captured there
            batches.drain(self.sessions.against, tenant=self._ids[1], deadline=until)

    def _in_legacy(self, source: str, keys: list[tuple[str, ...]]) -> tuple[str, list[tuple[str, ...]]]:
        if self.flow.direction == "forward":
            return source, keys
        table = self.flow.transfer.plan.siblings(source)[0]
        with self.flow.transfer.source.transaction():
            return table.target, [target for target, _ in in_target(self.flow.transfer, table, keys)]

    def _processes(self) -> list[int]:
        """Our own sessions on the old side: idle, or waiting for us."""
        same = self.old.info.host, self.old.info.port, self.old.info.dbname
        return [s.info.backend_pid for s in self.sessions.all if (s.info.host, s.info.port, s.info.dbname) == same]

    def _flip(self, begun: float, seconds: float) -> int:
        """Returns 0, or how many changes wait to be applied; then nothing was done."""
        target = self.flow.transfer.target
        with target.transaction():
            # Rows are applied, and homes asked, under this lock: nobody is left with the old answer.
            merging.lock(target, self.flow.direction)
            moved = self.flow.transfer
            capture_queue.follow_parents(self.old, moved.plan, moved.source_catalog, self._ids[0])
            committed = capture_queue.of_tenant(self.old, self._ids[0])
            if committed.waiting:
                return committed.waiting
            guard.set_home(self.old, self._ids[0], here=False)
            try:
                self._record(committed, begun, seconds)
            except BaseException as error:
                self._reopen_unless_flipped(error)
            # Before anybody may write there: a copy of this portal would take that for a stray write. It may have opened
            # the old side again until it was told that it is one; the hold has let nobody through.
            still_ours(self.ahead)
            guard.set_home(self.old, self._ids[0], here=False)
            guard.set_home(self.new, self._ids[1], here=True)
        # Only now: a request that wrote there a moment before would have been refused.
        TenantHome.objects.filter(pk=self.tenant.pk).update(held_until=None)
        return 0

    def _reopen_unless_flipped(self, error: BaseException) -> None:
        """A COMMIT whose answer got lost may have been made: ask, and as long as nobody knows, keep the old side closed."""
        try:
            connection.close_if_unusable_or_obsolete()
            with transaction.atomic():  # the lock waits for a server that is still at it
                home = TenantHome.objects.select_for_update().get(pk=self.tenant.pk).home
        except DatabaseError:
            raise HomeUnknown(
                "The portal's database went away while its home was changed.", subject=str(self.tenant),
                todo="Its writes stay refused until the database answers; then the move is completed by itself.",
            ) from error  # fmt: skip
        if home == self.cutover.home:
            return
        guard.set_home(self.old, self._ids[0], here=True)
        cause = error.__cause__
        raise describe(cause, subject="the portal's database") if isinstance(cause, psycopg.Error) else error

    @transaction.atomic
    def _record(self, committed: capture_queue.OfTenant, begun: float, seconds: float) -> None:
        now, cutover = timezone.now(), self.cutover
        homes.take_alone(self.tenant.pk, seconds=begun + seconds - time.monotonic())
        left = "left_legacy" if self.flow.direction == "forward" else "left_iam"
        # Nobody began to write if the hold was still good; it goes on until the new side's guard lets them.
        flipped = TenantHome.objects.filter(pk=self.tenant.pk, held_until__gt=Now()).update(
            home=cutover.home, held_until=Now() + timedelta(seconds=seconds), changed_at=now, changed_by=cutover.requested_by,
            verified_at=now, wave=cutover.wave or self.tenant.wave, reads_since=None,
            **{f"{left}_at": committed.last, f"{left}_snapshot": committed.snapshot},
        )  # fmt: skip
        if not flipped:
            raise Refusal("The hold's deadline passed.", subject=str(self.tenant), todo="Nothing has changed.")
        ownership.next_epoch()
        hold_ms = (time.monotonic() - begun) * 1000
        if not _advance(cutover, Cutover.State.DONE, finished_at=now, hold_ms=hold_ms):
            raise Stopped("It was stopped.", subject=str(self.tenant), todo="Nothing has changed.")
        chain.record(
            "cut_over" if cutover.home == TenantHome.Home.IAM else "reverse",
            of=self.tenant, by=cutover.requested_by, reason=cutover.reason,
            data={"home": cutover.home, "hold_ms": round(hold_ms), "wave": cutover.wave},
        )  # fmt: skip
