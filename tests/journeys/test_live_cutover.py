"""The whole point: legacy is written to without a pause while everything is copied, moved, and moved back.

`make endure` tells this story at full length: twenty seeds, 200,000 users each.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models.functions import Now

from bench.traffic import Traffic
from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard, requests
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import capture_queue
from migration_portal.runs.models import Finding, IllegalTransition, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from migration_portal.runs.verify import verify
from tests.journeys.conftest import OwnWorld
from tests.skew import skewed

SEEDS = [int(seed) for seed in os.environ.get("PORTAL_TEST_SEEDS", "7").split(",")]
USERS = int(os.environ.get("PORTAL_TEST_USERS", "3000"))
TENANTS, PAUSE = (12, 0.004) if USERS > 3000 else (9, 0.05)
"""The pause is each writer's, in seconds."""
PATIENCE = 120 + USERS / 400


class Mishaps:
    """Every few seconds a worker dies by SIGKILL with its pool, and the next one's clock is wrong; or PostgreSQL dies with
    all its backends; or its disk is full for a while, where it has one of its own (PORTAL_TEST_DISK).

    A second one may meet a system that has not recovered from the first, a third may not: on a slow machine it never would.
    A small world has six: the slower the machine, the more there would be.
    """

    MOST = 1000 if USERS > 3000 else 6

    def __init__(self, world: OwnWorld, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.count: Counter[str] = Counter()
        self.unrecovered = 0
        self._look_ahead()

    def _look_ahead(self) -> None:
        self.due = time.monotonic() + self.chance.uniform(3, 12)

    def wait(self, condition: Callable[[], Any]) -> None:
        """Until `condition()` is true, with mishaps meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, list(Cutover.objects.values("tenant", "state", "error"))
            if self.unrecovered and recovered():
                self.unrecovered = 0
            if time.monotonic() > self.due and self.unrecovered < 2 and self.count.total() < self.MOST:
                kinds = [self.kill_a_worker, self.kill_a_worker, self.restart_postgres]
                self.unrecovered += 1
                assert self.world.servers
                if self.world.servers.small_disk:
                    kinds.append(self.fill_the_disk)
                self.chance.choice(kinds)()
                self._look_ahead()
            time.sleep(0.2)

    def kill_a_worker(self) -> None:
        number = self.chance.randrange(2)
        processes = self.world.processes
        with contextlib.suppress(ProcessLookupError):
            os.killpg(processes[number].pid, signal.SIGKILL)
        processes[number].wait()
        clock = skewed(self.chance.uniform(-120, 120))
        processes[number] = self.world.worker(**clock) if number == 0 else self.world.follower(**clock)
        processes.pop()
        self.count["workers killed"] += 1

    def restart_postgres(self) -> None:
        assert self.world.servers
        self.world.servers.restart_postgres()
        connections.close_all()  # this process's own are dead as well
        self.count["restarts"] += 1

    def fill_the_disk(self) -> None:
        assert self.world.servers
        self.world.servers.fill_the_disk(10)
        connections.close_all()
        self.count["full disks"] += 1


def recovered() -> bool:
    """The loop turns, and what a restart may have lost has been verified."""
    a_moment_ago = Now() - timedelta(seconds=3)
    following = FlowStatus.objects.filter(direction="forward", beat_at__gt=a_moment_ago, lag_seconds__lt=20).exists()
    return following and not Run.objects.filter(state="running", verification__gt=1).exists()


def caught_up() -> bool:
    """Near enough for a move to be accepted; after a restart of a server the run is verified again, and moves wait."""
    if Run.objects.exclude(state="completed").exists():
        return False
    return FlowStatus.objects.filter(direction="forward", entries__lt=500, lag_seconds__lt=20).exists()


def still_moving() -> bool:
    return Cutover.objects.filter(state__in=("requested", "preparing", "holding")).exists()


def cut_all_over(mishaps: Mishaps) -> None:
    """In waves; what a mishap drove past its deadline is asked for again, as an operator would."""
    sync_tenants()
    tenants = list(TenantHome.objects.order_by("pk"))
    for wave, chosen in enumerate((tenants[:3], tenants[3:6], tenants[6:])):
        requests.cut_over(chosen, by="tester", wave=f"wave {wave}")
        mishaps.wait(lambda: not still_moving())
    for _ in range(5):
        if left := list(TenantHome.objects.filter(home="legacy")):
            mishaps.wait(caught_up)
            requests.cut_over(left, by="tester", wave="again")
            mishaps.wait(lambda: not still_moving())
    assert not TenantHome.objects.filter(home="legacy").exists(), list(Cutover.objects.values("state", "error"))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_acknowledged_write_is_lost_while_tenants_move_under_load(own_world: OwnWorld, seed: int) -> None:
    begun = time.monotonic()
    chance = random.Random(seed)
    own_world.sample(users=USERS, tenants=TENANTS, rate=0)
    own_world.worker()
    own_world.follower()
    own_world.beat()
    mishaps = Mishaps(own_world, chance)
    traffic = Traffic(own_world.url("legacy"), own_world.url("iam"), writers=3, seed=seed, pause=PAUSE)
    traffic.start()
    try:
        run = start(by="tester", capture=True)
        mishaps.wait(lambda: Run.objects.get(pk=run.pk).state == "completed")
        guard.switch(on=True, by="tester")
        mishaps.wait(caught_up)
        discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="the sample's own dirt")
        cut_all_over(mishaps)
        requests.reverse(list(TenantHome.objects.order_by("pk")[1:4]), by="tester", reason="practice")
        mishaps.wait(lambda: not still_moving())
        requests.cut_over(list(TenantHome.objects.filter(home="legacy")[:1]), by="tester")
        mishaps.wait(lambda: not still_moving())
    finally:
        traffic.stop()

    def quiet() -> bool:
        with databases.legacy_writable("test") as theirs, databases.iam("test") as ours:
            return capture_queue.lag(theirs).entries == capture_queue.lag(ours).entries == 0

    mishaps.wait(quiet)
    assert traffic.errors == []
    assert not Stray.objects.exists(), list(Stray.objects.values())
    moved = Cutover.objects.filter(state="done")
    assert moved.filter(home="iam").exists() and moved.filter(home="legacy").exists()
    mishaps.wait(lambda: Run.objects.get(pk=run.pk).state == "completed")
    with contextlib.suppress(IllegalTransition):  # a server that has just restarted is verified by itself
        verify(Run.objects.get(), by="tester")
    mishaps.wait(lambda: Run.objects.get(pk=run.pk).state == "completed")
    wrong = [check for check in report(Run.objects.get()).checks if check["severity"] == "error"]
    assert not wrong, (wrong, list(Finding.objects.values()))
    assert report(Run.objects.get()).accounted
    assert traffic.acknowledged > 500
    assert traffic.lost("legacy") == []
    assert traffic.lost("iam") == []
    assert follow("forward", seconds=0.1) == 0
    print(
        f"seed {seed}: {traffic.acknowledged} writes acknowledged, {moved.count()} moves, {dict(mishaps.count)},"
        f" {time.monotonic() - begun:.0f} s, nothing lost"
    )
