"""Which tenants a wave takes."""

from __future__ import annotations

from typing import Any

import pytest

from migration_portal.cutover import selection, waves
from migration_portal.refusal import Refusal
from tests.cutover.moves import iam
from tests.cutover.waves import TENANTS, names, planned
from tests.world import World


def test_a_share_brings_all_that_moved_and_are_planned_up_to_it(many: list[str]) -> None:
    quarter = planned({"kind": "share", "percent": 25}, "week 2")
    assert sorted(map(str, quarter.tenants.all())) == ["Tenant 6", "Tenant 7"]  # the smallest first
    half = planned({"kind": "share", "percent": 50}, "week 3")
    assert sorted(map(str, half.tenants.all())) == ["Tenant 4", "Tenant 5"]
    with pytest.raises(Refusal, match="No tenant fits"):
        planned({"kind": "share", "percent": 50}, "again")
    assert planned({"kind": "share", "percent": 100}, "week 4").tenants.count() == 4


def test_rules_choose_by_size_activity_and_id(many: list[str], world: World) -> None:
    assert names(selection.select({"kind": "rule", "users_from": 7})) == ["Tenant 1", "Tenant 0"]
    assert names(selection.select({"kind": "rule", "most": 1})) == ["Tenant 7"]
    iam(world, "UPDATE users SET last_login_at = now() WHERE tenant_id = %s", many[0])
    assert len(selection.select({"kind": "rule", "idle_days": 3}).tenants) == TENANTS - 1
    first = sorted(many)[0]
    assert [t.pk for t in selection.select({"kind": "rule", "ids_to": first}).tenants] == [first]
    iam(world, "UPDATE tenants SET created_at = now() - interval '30 days' WHERE id <> %s", many[3])
    iam(world, "UPDATE tenants SET created_at = now() WHERE id = %s", many[3])
    assert names(selection.select({"kind": "new", "days": 7})) == ["Tenant 3"]


def test_a_rule_chooses_by_the_plan_of_an_active_subscription(many: list[str], world: World) -> None:
    for tenant, plan, status in (
        (many[0], "GOLD", "active"),
        (many[1], "gold", "canceled"),
        (many[2], "free", "active"),
    ):
        iam(
            world,
            "INSERT INTO subscriptions (id, tenant_id, plan_id, status) VALUES (gen_random_uuid(), %s, %s, %s)",
            tenant, plan, status,
        )  # fmt: skip
    assert names(selection.select({"kind": "rule", "plans": ["Gold"]})) == ["Tenant 0"]
    assert names(selection.select({"kind": "rule", "plans": ["gold", "free"]})) == ["Tenant 2", "Tenant 0"]
    assert len(selection.select({"kind": "rule", "plans": ["none"]}).tenants) == TENANTS - 2
    assert selection.plans() == [("free", 1), ("gold", 1)]
    with pytest.raises(Refusal, match="list of ids"):
        selection.select({"kind": "rule", "plans": "gold"})


def test_a_named_tenant_that_cannot_be_in_it_is_named(many: list[str]) -> None:
    planned({"kind": "named", "tenants": [many[0]]}, "first")
    with pytest.raises(Refusal, match="Tenant 0 cannot be in it"):
        planned({"kind": "named", "tenants": [many[0], many[1]]}, "second")
    with pytest.raises(Refusal, match="Nobody knows the tenant nobody"):
        planned({"kind": "named", "tenants": ["nobody"]}, "third")


@pytest.mark.parametrize(
    "rule",
    [{}, {"kind": "all"}, {"kind": "share"}, {"kind": "share", "percent": "25"}, {"kind": "share", "percent": 101},
     {"kind": "share", "percent": 50, "most": 0}, {"kind": "new", "days": 0},
     {"kind": "rule", "users_from": -1}, {"kind": "rule", "users_from": True}],
)  # fmt: skip
def test_a_rule_that_says_nothing_is_refused(many: list[str], rule: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        planned(rule, "odd") if rule else waves.plan("odd", rule, by="otto")


def test_names_are_used_once(many: list[str]) -> None:
    planned({"kind": "named", "tenants": [many[0]]})
    for name in ("w", " w ", "", "x" * 101):
        with pytest.raises(Refusal):
            planned({"kind": "named", "tenants": [many[1]]}, name)
