"""Moving a tenant, and changing either side."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from flags.models import TenantHome
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.work import work
from tests.world import World


def both_loops() -> None:
    """Follow both ways until nothing waits any more, or waits to be tried again."""
    for _ in range(10):
        follow("forward", seconds=0.01)
        follow("reverse", seconds=0.01)
        if not FlowStatus.objects.filter(entries__gt=F("retrying")).exists():
            return


def moved(tenant: str, home: str = "iam") -> Cutover:
    chosen = [TenantHome.objects.get(pk=tenant)]
    asked = (
        requests.cut_over(chosen, by="tester")
        if home == "iam"
        else requests.reverse(chosen, by="tester", reason="test")
    )
    work()
    asked[0].refresh_from_db()
    return asked[0]


def legacy(world: World, statement: str, *arguments: Any) -> Any:
    return world.sql("legacy", statement, arguments=arguments)


def iam(world: World, statement: str, *arguments: Any) -> Any:
    return world.sql("iam", statement, arguments=arguments)
