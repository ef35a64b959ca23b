"""A wave under real workers that are killed, and stopped in its middle: what moved has moved, what has not is not, nothing half."""

from __future__ import annotations

import os
import random
import time

from django.utils import timezone

from flags.models import TenantHome
from migration_portal.cutover import progress, waves
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.world import World, eventually

TENANTS = int(os.environ.get("PORTAL_TEST_TENANTS", "40"))
KILLS = 3


def test_nothing_is_half_moved_by_kills_and_a_stop(world: World) -> None:
    world.sample(users=TENANTS * 5, tenants=TENANTS, rate=0)
    builders.migrated(world, capture=True)
    builders.decided()
    sync_tenants()
    luck = random.Random(5)
    world.beat()
    follower = world.follower()
    wave = waves.plan("all", {"kind": "share", "percent": 100}, by="otto")
    waves.start(wave, by="otto")
    eventually(lambda: progress.of(wave).moved > 0)
    for _ in range(KILLS):
        time.sleep(luck.uniform(0.2, 0.8))
        os.killpg(follower.pid, 9)
        follower.wait()
        follower = world.follower()
        before = progress.of(wave).moved
        eventually(lambda before=before: progress.of(wave).moved > before or not progress.of(wave).under_way)
        if progress.of(wave).moved > TENANTS * 2 // 3:
            break
    wave.refresh_from_db()
    if wave.state == "running":
        began = time.monotonic()
        waves.stop(wave, by="otto", reason="complaints")
        assert not Cutover.objects.under_way().exists() and time.monotonic() - began < 1
    eventually(lambda: not Cutover.objects.filter(state="done", followed_up_at=None).exists())
    eventually(lambda: agrees(world))
    eventually(lambda: all_moved(wave), seconds=180, every=2)
    eventually(lambda: agrees(world))


def all_moved(wave: Wave) -> bool:
    """As an operator does: tries again while tenants were blocked, as by a loop that had just been killed."""
    wave.refresh_from_db()
    found = progress.of(wave)
    if not found.under_way and found.moved < found.all:
        waves.retry(wave, by="otto")
    return found.moved == found.all


def agrees(world: World) -> bool:
    """Each tenant's home, its latest move and both guards say the same, by SQL of our own; nobody is held."""
    with world.legacy() as legacy, world.iam() as iam:
        there = dict(legacy.execute("SELECT tenant, here FROM portal_capture.homes").fetchall())
        here = dict(iam.execute("SELECT tenant, here FROM portal_capture.homes").fetchall())
    for tenant in TenantHome.objects.all():
        latest = tenant.moves.order_by("-id").first()  # type: ignore[attr-defined]
        in_iam = tenant.home == "iam"
        if in_iam != any(move.state == "done" for move in tenant.moves.all()):  # type: ignore[attr-defined]
            return False
        if latest is not None and in_iam and latest.state not in ("done",):
            return False
        if there.get(tenant.legacy_tenant.lower(), True) is in_iam or here.get(tenant.tenant, False) is not in_iam:
            return False
        if tenant.held_until is not None and tenant.held_until > timezone.now():
            return False
    return True
