"""What a stranger did to the ladder of roll-backs with other schemas: waves half done, swaps, what was written since, the end."""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections

from flags.models import TenantHome
from migration_portal.backups import reconcile, swap
from migration_portal.backups.models import Restoration, Written
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.checkpoints import take as taking
from migration_portal.cutover import finalize, waves
from migration_portal.cutover.models import Stray, Wave
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.decommission.remaining import remaining
from migration_portal.engine import capture
from migration_portal.refusal import Refusal
from migration_portal.rollback import execute, judge
from migration_portal.rollback.models import RollBack
from migration_portal.rollback.plans import Kind
from migration_portal.runs import uncapture
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from tests import builders
from tests.attack.further import LADDERS, born, first_moved, waved
from tests.backups.builders import backed_up, checked
from tests.backups.conftest import backups as backups
from tests.backups.test_restore import databases_left as databases_left
from tests.backups.test_restore import restored, swapped
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.other_schemas import (
    BY_ORGANIZATION,
    ONE,
    TWO,
    differences,
    migrated,
    of_keycloak,
    org,
    organizations,
    person,
    users,
)
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.journeys.other_schemas import unlike as unlike_people
from tests.journeys.test_examples import ASPNET, begun, of_aspnet
from tests.rollback.going import agreed, gone_on
from tests.sampling import some
from tests.world import World


@pytest.mark.parametrize("guarded", [False, True])
def test_a_wave_that_pauses_midway_can_be_rolled_back(world: World, plan: Any, guarded: bool) -> None:
    wave = waved(world, plan, guarded=guarded)
    Wave.objects.filter(pk=wave.pk).update(waits_for="")
    first_moved()
    waves.pause(wave, by="otto", reason="midway")
    made = gone_on(execute.start(Kind.IMMEDIATE, by="ada", reason="errors", wave="w"), turns=12)
    assert made.outcome == "done" and not TenantHome.objects.filter(home="iam").exists()


def test_a_wave_that_is_running_can_be_rolled_back(world: World, plan: Any) -> None:
    wave = waved(world, plan, guarded=True)
    Wave.objects.filter(pk=wave.pk).update(waits_for="")
    first_moved()
    made = gone_on(execute.start(Kind.IMMEDIATE, by="ada", reason="errors", wave="w"), turns=12)
    assert made.outcome == "done" and not TenantHome.objects.filter(home="iam").exists()


def test_everything_can_be_rolled_back_while_a_wave_pauses(world: World, plan: Any, settings: Any) -> None:
    settings.ROLLBACK_ASKS = []
    wave = waved(world, plan, guarded=False)

    first_moved()
    waves.pause(wave, by="otto", reason="midway")
    made = gone_on(execute.start(Kind.DATABASE, by="ada", reason="errors"), turns=12)
    assert made.outcome == "done" and not TenantHome.objects.filter(home="iam").exists()


@pytest.mark.parametrize("trouble", ["none", "plan file", "connection"])
def test_a_swap_that_is_tried_again_has_everything_looked_at(
    world: World,
    plan: Any,
    backups: Path,
    databases_left: list[str],
    settings: Any,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.ROLLBACK_ASKS, settings.CUTOVER_MAX_LAG_SECONDS = [], 3600.0
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    backup = backed_up("legacy")
    checked(backup, 3)
    assert moved(TWO).error == ""
    users(world, "cem")
    legacy(world, "UPDATE auth_user SET full_name = 'Since' WHERE username = 'ann'")
    both_loops()
    good = settings.MIGRATION_PLAN.read_text()
    if trouble == "plan file":
        real = swap._rename

        def rename(*arguments: Any) -> None:
            real(*arguments)
            settings.MIGRATION_PLAN.write_text(good + "\n[[tables]]\n")  # somebody is writing the next plan

        monkeypatch.setattr(swap, "_rename", rename)
    if trouble == "connection":
        real_look, calls = swap.look_at_all, []

        def look(plan: Any) -> None:
            calls.append(1)
            if len(calls) == 1:
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            real_look(plan)

        monkeypatch.setattr(swap, "look_at_all", look)
    made = gone_on(execute.start(Kind.FULL, by="ada", reason="errors", backup=backup))
    for each in Restoration.objects.all():
        databases_left += [name for name in (each.into, each.kept_as) if name]
    if made.step is not None and made.step.state == "failed":
        settings.MIGRATION_PLAN.write_text(good)
        monkeypatch.undo()
        execute.retry(made.step, by="ada")
        made = gone_on(made)
    [brought] = Restoration.objects.all()
    for tenant in set(Written.objects.filter(restoration=brought, decision="open").values_list("tenant", flat=True)):
        reconcile.leave(brought, [tenant], by="ada", reason="gone is gone")
    made = gone_on(made)
    while made.step is not None and made.step.state == "asks":
        made = agreed(made)
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    both_loops()
    assert differences(world) == set()


def other_mail(world: World, tenant: str) -> None:
    """The tenant's first person by name, for ids are random, and who has a role that is kept back stands in `before`."""
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE id = (SELECT id FROM users WHERE tenant_id = %s"
               " AND (is_superuser OR username NOT LIKE '%%@%%') ORDER BY username LIMIT 1)", tenant)  # fmt: skip


@pytest.mark.parametrize("name", LADDERS)
def test_the_ladder_to_its_end_and_another_run(world: World, settings: Any, name: str) -> None:
    settings.ROLLBACK_ASKS = []
    unlike, first = LADDERS[name]
    run = begun(world, settings, name)
    builders.decided()
    before = unlike(world)
    [(tenant,)] = legacy(world, first)
    assert moved(tenant).error == ""
    born(world, tenant, "zoe", is_superuser=True)
    born(world, tenant, "yan@example.org", email="yan@example.org")
    other_mail(world, tenant)
    both_loops()
    assert unlike(world) == before
    made = gone_on(execute.start(Kind.DATABASE, by="ada", reason="errors"))
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    assert Run.objects.get(pk=run.pk).state == "undone"
    uncapture.remove_leftovers()
    judge.judge()
    run = builders.migrated(world, capture=True)
    found = report(run)
    assert found.passed, (found, kept_back(run))
    builders.decided()
    sync_tenants()
    both_loops()
    assert unlike(world) == before
    assert moved(tenant).error == ""
    iam(world, "UPDATE users SET email = 'again@example.org' WHERE username = 'zoe'")
    both_loops()
    assert unlike(world) == before
    made = gone_on(execute.start(Kind.IMMEDIATE, by="ada", reason="errors", wave=""))
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    both_loops()
    assert unlike(world) == before


def kept_back(run: Run) -> list[Any]:

    return [
        *QuarantinedRow.objects.filter(run=run.key).values_list("table_name", "reason", "source_key", "detail"),
        *Finding.objects.filter(run=run.key).values_list("table_name", "kind", "key", "field"),
    ][:10]


def to_the_end(made: RollBack, decision: str, left: list[str]) -> RollBack:
    """Agreeing with everything; what was written since is taken, or left."""
    for _ in range(20):
        for each in Restoration.objects.all():
            left += [name for name in (each.into, each.kept_as) if name and name not in left]
        step = made.step
        if made.ended_at or step is None or step.state == "failed":
            break
        if step.state == "asks":
            made = agreed(made)
            continue
        [brought] = Restoration.objects.all()
        tenants = sorted(
            set(Written.objects.filter(restoration=brought, decision="open").values_list("tenant", flat=True))
        )
        if not tenants:
            made = gone_on(made)
            continue
        if decision == "take":
            reconcile.take(brought, tenants, removals=True, by="ada", reason="theirs")
        else:
            reconcile.leave(brought, tenants, by="ada", reason="gone")
        made = gone_on(made)
    return made


@pytest.mark.parametrize(
    ("name", "side", "decision"), some([*product(LADDERS, ("legacy", "iam"), ("take", "leave"))], 3, "ladder")
)
def test_a_full_roll_back_to_its_end(
    world: World, settings: Any, backups: Path, databases_left: list[str], name: str, side: str, decision: str
) -> None:
    settings.ROLLBACK_ASKS, settings.CUTOVER_MAX_LAG_SECONDS = [], 3600.0
    unlike, first = LADDERS[name]
    begun(world, settings, name)
    builders.decided()
    before = unlike(world)
    [(tenant,)] = legacy(world, first)
    if side == "iam":
        assert moved(tenant).error == ""
        both_loops()
    backup = backed_up(side)
    checked(backup, 3)
    if side == "legacy":
        assert moved(tenant).error == ""
    born(world, tenant, "zoe", is_superuser=True)
    born(world, tenant, "yan@example.org", email="yan@example.org")
    other_mail(world, tenant)
    [(gone,)] = iam(
        world,
        "SELECT id::text FROM users WHERE tenant_id = %s AND username NOT LIKE 'yan%%' AND username <> 'zoe'"
        " ORDER BY username DESC LIMIT 1",
        tenant,
    )
    iam(world, "DELETE FROM user_roles WHERE user_id = %s", gone)
    iam(world, "DELETE FROM users WHERE id = %s", gone)
    both_loops()
    assert unlike(world) == before
    made = execute.start(Kind.FULL, by="ada", reason="errors", backup=backup)
    for _ in range(60):  # a swap of the IAM ends this process's own session
        try:
            made = gone_on(made)
            break
        except OperationalError:
            connections["iam"].close()
    made = to_the_end(made, decision, databases_left)
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    both_loops()
    assert unlike(world) == before
    names = {row[0] for row in iam(world, "SELECT username FROM users WHERE username IN ('zoe', 'yan@example.org')")}
    if side == "iam":
        assert names == ({"zoe", "yan@example.org"} if decision == "take" else set())
    else:
        assert names == {"zoe", "yan@example.org"}
    assert not Stray.objects.exists(), list(Stray.objects.values())
    judge.judge()
    assert moved(tenant).error == ""
    iam(world, "UPDATE users SET email = 'again@example.org' WHERE username = 'zoe'")
    both_loops()
    assert unlike(world) == before
    assert moved(tenant, "legacy").error == ""
    assert unlike(world) == before


def test_a_tenant_is_in_one_open_wave_also_after_another_is_tried_again(world: World, plan: Any) -> None:
    wave = waved(world, plan, guarded=False)
    waves.stop(wave, by="otto", reason="no")
    waves.plan("x", {"kind": "share", "percent": 100}, by="otto", guarded=False)
    with suppress(Refusal):
        waves.retry(wave, by="otto")
    assert not Wave.objects.open().filter(name="w").exists()


def test_a_table_that_is_read_is_looked_at_after_a_swap(
    world: World, joined: Any, backups: Path, databases_left: list[str]
) -> None:
    joined()
    person(world, "ann")
    migrated(world)
    made = restored(world, databases_left)
    person(world, "bob", org="bolt")
    both_loops()
    swapped(made, databases_left)
    both_loops()
    assert unlike_people(world) == set()


def test_what_was_written_since_can_be_taken_beside_what_came_back_meanwhile(
    world: World, joined: Any, backups: Path, databases_left: list[str]
) -> None:
    joined()
    person(world, "ann")
    migrated(world)
    made = restored(world, databases_left)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    for name in ("u1", "u2", "u3", "u4", "u5", "u6"):
        born(world, acme, name)
        both_loops()
    swapped(made, databases_left)
    for _ in range(5):
        follow("reverse", seconds=0.01)
    reconcile.perform(reconcile.list_since(made, by="tester"))
    asked = reconcile.take(made, [acme], removals=True, by="tester", reason="theirs")
    reconcile.perform(asked)
    asked.refresh_from_db()
    assert asked.error == ""


@pytest.mark.parametrize("name", ["02_people_and_credentials", "04_django", "07_staff_and_customers"])
def test_after_finalizing_nothing_of_ours_is_left(world: World, settings: Any, name: str) -> None:
    begun(world, settings, name)
    builders.decided()
    _, first = LADDERS[name]
    [(tenant,)] = legacy(world, first)
    for each in TenantHome.objects.values_list("pk", flat=True):
        assert moved(each).error == ""
    both_loops()
    born(world, tenant, "zoe", is_superuser=True)
    both_loops()
    finalize.finalize_tenant(tenant, by="t", reason="r")
    finalize.finalize(by="tester", reason="done")
    born(world, tenant, "late", is_superuser=True)
    iam(world, "UPDATE users SET email = 'x@example.org' WHERE username = 'zoe'")
    both_loops()
    for side in (legacy, iam):
        assert side(world, "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'portal%%'") == []
    left = [(each.what, each.count, each.some) for each in remaining() if not each.done]
    assert [
        each
        for each in left
        if each[0] not in ("endpoints that are still passed on to legacy", "settings that name the legacy system")
    ] == [], left
    taking.take(by="t")


@pytest.mark.parametrize(
    ("name", "kind"), some([*product(list(LADDERS)[2:], (Kind.FULL, Kind.DATABASE, Kind.IMMEDIATE))], 2, "rehearsed")
)
def test_a_roll_back_is_rehearsed(world: World, settings: Any, backups: Path, name: str, kind: Kind) -> None:
    begun(world, settings, name)
    builders.decided()
    [(tenant,)] = legacy(world, LADDERS[name][1])
    assert moved(tenant).error == ""
    born(world, tenant, "zoe", is_superuser=True)
    both_loops()
    options: dict[str, Any] = {}
    if kind == Kind.FULL:
        options["backup"] = backed_up("legacy")
        checked(options["backup"], 3)
    made = gone_on(execute.start(kind, by="ada", reason="drill", rehearsal=True, **options))
    assert made.outcome == "done", (made.step, made.step and made.step.detail)


def test_a_catch_up_that_cannot_go_on_after_a_swap_says_so(
    world: World, joined: Any, backups: Path, databases_left: list[str]
) -> None:
    """I4: whatever is stuck says so."""
    joined()
    person(world, "ann")
    migrated(world)
    made = restored(world, databases_left)
    swapped(made, databases_left)
    with suppress(IndexError):
        both_loops()
    waits = legacy(world, "SELECT table_name FROM portal_capture.queue WHERE key IS NULL")
    assert not waits or [flow.error for flow in FlowStatus.objects.filter(pk="forward") if flow.error]


@pytest.mark.parametrize("name", ["03_keycloak", "06_aspnet_identity"])
def test_the_shorter_ladder_to_its_end(world: World, settings: Any, name: str) -> None:
    settings.ROLLBACK_ASKS = []
    unlike = of_keycloak if name.startswith("03") else of_aspnet
    run = begun(world, settings, name)
    builders.decided()
    tenant = ASPNET if name.startswith("06") else legacy(world, "SELECT id FROM realm ORDER BY name LIMIT 1")[0][0]
    assert moved(tenant).error == ""
    iam(
        world,
        "UPDATE users SET email = 'there@example.org' WHERE id = (SELECT min(id::text)::uuid FROM users WHERE tenant_id = %s)",
        tenant,
    )
    both_loops()
    made = gone_on(execute.start(Kind.DATABASE, by="ada", reason="errors"))
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    uncapture.remove_leftovers()
    judge.judge()
    run = builders.migrated(world, capture=True)
    assert report(run).passed, kept_back(run)
    assert unlike(world) == set()


def test_finalizing_that_fails_midway_leaves_the_way_back_as_it_was_or_says_so(world: World, plan: Any) -> None:
    plan()
    users(world, "ann")
    migrated(world)
    assert moved(ONE).error == ""
    both_loops()
    with world.legacy() as busy:
        busy.autocommit = False
        busy.execute("LOCK TABLE auth_user IN ACCESS SHARE MODE")  # a report that somebody runs in legacy
        with pytest.raises((Refusal, psycopg.Error)):
            finalize.finalize(by="tester", reason="done")
        busy.rollback()
        busy.autocommit = True
    assert TenantHome.objects.filter(final=True).count() == 0
    iam(world, "UPDATE users SET full_name = 'Since'")
    both_loops()
    said = [flow.trouble for flow in FlowStatus.objects.all() if flow.trouble]
    assert said or legacy(world, "SELECT full_name FROM auth_user") == [("Since",)]


@pytest.mark.parametrize("side", ["legacy", "iam"])
def test_capture_that_is_gone_altogether_is_told(world: World, plan: Any, side: str) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    assert moved(TWO).error == ""
    (legacy if side == "legacy" else iam)(world, "DROP SCHEMA portal_capture CASCADE")
    if side == "legacy":
        legacy(world, "UPDATE auth_user SET full_name = 'Since' WHERE username = 'ann'")
    else:
        iam(world, "UPDATE users SET full_name = 'Since' WHERE username = 'bob'")
    both_loops()
    assert [flow.direction for flow in FlowStatus.objects.all() if flow.trouble]


def test_an_uncapture_that_fails_midway_leaves_capture_as_it_was(
    world: World, plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan()
    users(world, "ann")
    run = migrated(world)
    assert moved(ONE).error == "" and moved(ONE, "legacy").error == ""
    both_loops()
    real, calls = capture.remove, []

    def remove(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise psycopg.OperationalError("the IAM went away")
        real(*arguments)

    monkeypatch.setattr(capture, "remove", remove)
    with pytest.raises(psycopg.OperationalError):
        uncapture.uncapture(Run.objects.get(pk=run.pk), by="t", reason="r")
    legacy(world, "UPDATE auth_user SET full_name = 'Since'")
    both_loops()
    assert Run.objects.get(pk=run.pk).capture
    assert iam(world, "SELECT DISTINCT full_name FROM users") == [("Since",)]


def test_a_wave_that_was_stopped_midway_can_be_rolled_back(world: World, plan: Any) -> None:
    wave = waved(world, plan, guarded=False)
    first_moved()
    waves.stop(wave, by="otto", reason="midway")
    made = gone_on(execute.start(Kind.IMMEDIATE, by="ada", reason="errors", wave="w"), turns=12)
    assert made.outcome == "done"
    assert differences(world) == set()
