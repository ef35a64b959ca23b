"""The console's first page, from an empty portal to the first tenant in the IAM."""

from __future__ import annotations

from flags.models import TenantHome
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.requests import take_now
from tests import builders
from tests.console.browsing import browser
from tests.cutover.moves import both_loops, moved
from tests.world import World


def steps(page: object) -> dict[str, bool]:
    return {step.text: step.done for step in page.context["first_steps"]}  # type: ignore[attr-defined]


def test_the_first_steps_are_ticked_as_they_are_made_and_go_with_the_first_tenant(world: World) -> None:
    operator = browser("operator")
    assert [text for text, done in steps(operator.get("/admin/")).items() if done] == ["Apply the IAM's schema"]
    world.sample(users=60, tenants=5, rate=0)
    take_now("inventory", by="ada")
    builders.migrated(world, dry_run=True)
    builders.migrated(world, capture=True)
    made = {text for text, done in steps(operator.get("/admin/")).items() if done}
    assert made == {"Take an inventory of legacy", "Apply the IAM's schema", "Dry run", "Run with capture"}
    sync_tenants()
    both_loops()
    builders.decided()
    assert moved(TenantHome.objects.values_list("pk", flat=True)[0]).error == ""
    assert steps(operator.get("/admin/")) == {}
