"""The worker of cut-over: makes the moves that were requested, several at once, each tenant's in the order of its requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from queue import SimpleQueue

from django.conf import settings
from django.db import connection, connections

from flags.models import TenantHome
from migration_portal.cutover import waves
from migration_portal.cutover.models import UNDER_WAY, Cutover, Wave
from migration_portal.cutover.move import move
from migration_portal.cutover.movers import Mover
from migration_portal.locks import Lock, only_one

_POLL_SECONDS = 0.5
_TICK_SECONDS = 1.0
_MANY = 64
"""Sessions per server are limited: more moves at once than this is a slip of the keyboard."""


def work() -> int:
    """Make the moves that were requested, one worker at a time. Returns how many were made, blocked or stopped."""
    with only_one(connection, Lock.MOVES) as alone, ExitStack() as stack:
        return _Moves(stack).make() if alone else 0


class _Moves:
    """The moves of this worker. One that a dead worker left behind is made again: until the flip nothing had changed."""

    def __init__(self, stack: ExitStack) -> None:
        self.most = min(max(int(settings.CUTOVER_AT_ONCE), 1), _MANY)
        self.pool = stack.enter_context(ThreadPoolExecutor(self.most, thread_name_prefix="move"))
        self.movers: SimpleQueue[Mover] = SimpleQueue()
        self.made: list[Mover] = []
        self.going: dict[Future[bool], Cutover] = {}
        stack.callback(self._close)

    def _close(self) -> None:
        for mover in self.made:
            mover.close()

    def make(self) -> int:
        count, well, ticked = 0, True, 0.0
        while True:
            if time.monotonic() - ticked > _TICK_SECONDS:
                waves.tick()  # what should wait now, waits: the next tick of the clock may have to wait for a worker
                ticked = time.monotonic()
            ready = list(self._ready()) if well else []
            if len(ready) == 1 and not self.going and not self._others(ready[0]):
                well = self._one(ready[0])  # in this thread: nobody to be fast for
                count += 1
                continue
            for cutover in ready:
                self.going[self.pool.submit(self._in_thread, cutover)] = cutover
            if not self.going:
                return count
            done, _ = wait(self.going, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                del self.going[future]
                well = future.result() and well
                count += 1

    def _ready(self) -> Iterator[Cutover]:
        """Moves to begin now: as many as there is room for, in all and in their wave, and none of a wave that pauses.

        A wave is of moves to the IAM: what goes back under its name waits for nothing.
        """
        room = self.most - len(self.going)
        if room <= 0:
            return
        limits = {wave.name: wave.at_once if wave.runs else 0 for wave in Wave.objects.open()}
        going = Counter(one.wave for one in self.going.values() if one.home == TenantHome.Home.IAM)
        busy = [cutover.pk for cutover in self.going.values()]
        while room:
            full = [name for name, limit in limits.items() if going[name] >= limit]
            waiting = Cutover.objects.under_way().exclude(pk__in=busy).select_related("tenant")
            cutover = waiting.exclude(home=TenantHome.Home.IAM, wave__in=full).order_by("id").first()
            if cutover is None:
                return
            going[cutover.wave] += cutover.home == TenantHome.Home.IAM
            busy.append(cutover.pk)
            room -= 1
            yield cutover

    def _others(self, this: Cutover) -> bool:
        return self.most > 1 and Cutover.objects.under_way().exclude(pk=this.pk).exists()

    def _in_thread(self, cutover: Cutover) -> bool:
        try:
            return self._one(cutover)
        finally:
            connections.close_all()

    def _one(self, cutover: Cutover) -> bool:
        """Returns whether the portal's database answers: if not, the next turn looks again."""
        mover = self._mover()
        try:
            move(cutover, mover)
            cutover.refresh_from_db()
        finally:
            self.movers.put(mover)
        return cutover.state not in UNDER_WAY

    def _mover(self) -> Mover:
        if self.movers.empty():
            made = Mover()
            self.made.append(made)
            return made
        return self.movers.get()
