"""The whole point: legacy is written to without a pause while everything is copied, moved, and moved back."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest
from django.db import connections

from bench.traffic import Traffic
from flags.models import TenantHome
from migration_portal import databases
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import Stream
from migration_portal.cutover import ask, guard
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.engine import capture
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from migration_portal.runs.verify import verify
from tests.stack import World, eventually, url_of

SEEDS = [int(seed) for seed in os.environ.get("PORTAL_TEST_SEEDS", "7").split(",")]
USERS = int(os.environ.get("PORTAL_TEST_USERS", "3000"))


def kill_a_worker(world: World, chance: random.Random) -> None:
    """SIGKILL to one of the workers with its pool, and a new one in its place."""
    number = chance.randrange(2)
    victim = world.processes[number]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    world.processes[number] = world.worker() if number == 0 else world.follower()
    world.processes.pop()


def cut_every_connection(world: World) -> None:
    """As a restart of the server looks to everybody: every session on both databases ends at once."""
    with world.portal() as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%s, %s) AND pid <> pg_backend_pid()",
            [f"{world.name}_legacy", f"{world.name}_iam"],
        )
    connections["iam"].close()  # this process's own


def wait_for_moves(world: World, chance: random.Random, *, kills: int) -> None:
    deadline = time.monotonic() + 120
    busy = Cutover.objects.filter(state__in=("asked", "preparing", "holding"))
    while busy.exists():
        assert time.monotonic() < deadline, list(busy.values("tenant", "state", "error"))
        if kills:
            kills -= 1
            kill_a_worker(world, chance)
        time.sleep(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_acknowledged_write_is_lost_while_tenants_move_under_load(world: World, seed: int) -> None:
    chance = random.Random(seed)
    world.sample(users=USERS, tenants=12, rate=0)
    world.worker()
    world.follower()
    world.beat()
    traffic = Traffic(url_of(f"{world.name}_legacy"), url_of(f"{world.name}_iam"), writers=3, seed=seed, pause=0.004)
    traffic.start()
    try:
        run = start(by="tester", capture=True)
        eventually(lambda: Run.objects.get(pk=run.pk).state == "completed", 120)
        guard.switch(on=True, by="tester")
        eventually(lambda: Stream.objects.filter(direction="forward", entries__lt=500).exists(), 60)
        discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="the sample's own dirt")
        ask.know_tenants()
        tenants = list(TenantHome.objects.order_by("pk"))
        for wave, chosen in enumerate((tenants[:3], tenants[3:7], tenants[7:])):
            ask.cut_over(chosen, by="tester", wave=f"wave {wave}")
            if wave == 1:
                time.sleep(chance.random())
                cut_every_connection(world)
            wait_for_moves(world, chance, kills=1)
        aborted = Cutover.objects.filter(state="aborted")
        assert Cutover.objects.filter(state="done").count() >= 10, list(aborted.values_list("error", flat=True))
        ask.reverse(tenants[1:4], by="tester", reason="practice")
        wait_for_moves(world, chance, kills=1)
        again = [t for t in TenantHome.objects.all() if t.home == "legacy"]
        if again:
            ask.cut_over(again[:1], by="tester")
            wait_for_moves(world, chance, kills=0)
    finally:
        traffic.stop()
    assert traffic.acknowledged > 500

    def quiet() -> bool:
        with databases.legacy_writable("test") as theirs, databases.iam("test") as ours:
            return capture.lag(theirs).entries == capture.lag(ours).entries == 0

    eventually(quiet, 60)
    assert traffic.errors == []
    assert not Stray.objects.exists(), list(Stray.objects.values())
    moved = Cutover.objects.filter(state="done")
    assert moved.filter(home="iam").exists() and moved.filter(home="legacy").exists()
    verify(Run.objects.get(), by="tester")
    eventually(lambda: Run.objects.get(pk=run.pk).state == "completed", 60)
    wrong = [check for check in report(Run.objects.get()).checks if check["severity"] == "error"]
    assert not wrong, (wrong, list(Finding.objects.values()))
    assert report(Run.objects.get()).accounted
    assert traffic.lost("legacy") == []
    assert traffic.lost("iam") == []
    assert follow("forward", seconds=0.1) == 0
