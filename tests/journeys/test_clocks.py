"""Hosts whose clocks are minutes apart."""

from __future__ import annotations

import pytest

from flags.models import TenantHome
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard, requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from tests import builders
from tests.cutover.moves import legacy
from tests.journeys.independent import differences
from tests.skew import installed, skewed
from tests.world import World, eventually


@installed
@pytest.mark.parametrize("seconds", [90, -90], ids=["fast", "slow"])
def test_workers_whose_clock_is_wrong_copy_follow_and_move(world: World, seconds: int) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.user(world, home)
    world.worker(**skewed(seconds))
    world.follower(**skewed(seconds))
    world.beat()
    run = start(by="tester", capture=True)
    eventually(lambda: Run.objects.get(pk=run.pk).state == "completed")
    guard.switch(on=True, by="tester")
    legacy(world, "UPDATE users SET full_name = 'Followed'")
    eventually(lambda: differences(world) == [])
    eventually(lambda: FlowStatus.objects.filter(pk="forward", entries=0).exists())
    assert FlowStatus.objects.get(pk="forward").trouble == ""
    sync_tenants()
    for there in ("iam", "legacy"):
        ask = requests.cut_over if there == "iam" else requests.reverse
        ask([TenantHome.objects.get()], by="tester", reason="test")
        eventually(lambda: not Cutover.objects.under_way().exists())
        assert Cutover.objects.latest("id").error == ""
        assert TenantHome.objects.get().home == there
