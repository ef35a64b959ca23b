"""What a stranger tried of the rest with other schemas: notices, checkpoints, revised plans, the ladder of roll-backs, waves that
stop midway, finalizing, first log-ins, and figures.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connections

from flags import homes
from flags.models import TenantHome
from iam import password_links, sign_in
from iam.models import User
from migration_portal.backups import reconcile, swap
from migration_portal.backups.models import Restoration, Written
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.catchup.revise import revise
from migration_portal.checkpoints import take as taking
from migration_portal.checkpoints.criteria import criteria
from migration_portal.cutover import finalize, reads_first, resolve, waves
from migration_portal.cutover import scope as scopes
from migration_portal.cutover.models import Cutover, Stray, Wave
from migration_portal.cutover.move import move
from migration_portal.cutover.movers import Mover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.dashboard import now
from migration_portal.decommission.remaining import remaining
from migration_portal.engine import capture
from migration_portal.features import health
from migration_portal.inventory import requests as asking
from migration_portal.inventory.compare import compare
from migration_portal.inventory.take import take as inventory
from migration_portal.notices import password_mail, send, texts
from migration_portal.notices import plan as planning
from migration_portal.notices.models import Completed, Recipient
from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal
from migration_portal.rollback import execute, judge
from migration_portal.rollback.measure import measure
from migration_portal.rollback.models import RollBack
from migration_portal.rollback.plans import Kind
from migration_portal.runs import uncapture
from migration_portal.runs.cancel import cancel
from migration_portal.runs.models import Finding, QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from migration_portal.sample import examples
from tests import builders
from tests.attack.test_later_phases import BY_TEXT, TEAMS, TEAMS_PLAN, team
from tests.attack.test_later_phases import teams as odd_teams
from tests.attack.test_views import begun as begun_views
from tests.backups.builders import backed_up, checked
from tests.backups.conftest import backups as backups
from tests.backups.test_restore import databases_left as databases_left
from tests.backups.test_restore import restored, swapped
from tests.console.browsing import browser
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.iam.test_at_login import Legacy
from tests.journeys.other_schemas import (
    BY_ORGANIZATION,
    EXAMPLES,
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
from tests.journeys.test_examples import ASPNET, DJANGO, begun, of_aspnet, of_companies, of_django
from tests.journeys.test_views import changed, firm
from tests.journeys.test_views import unlike as unlike_staff
from tests.rollback.going import agreed, gone_on
from tests.sampling import some
from tests.world import World

COMPLETION = {"kind": "completion", "subject": "$tenant has moved", "text": "Dear $name, it is done.", "html": ""}


def result(made: Any, name: str) -> dict[str, Any]:
    return next(each for each in made.results if each["name"] == name)


def teams(world: World, settings: Any, place: Path, *titles: str) -> list[str]:
    """People of as many teams as there are titles, one each; teams are counted. Returns the teams' ids in the IAM."""
    head = TEAMS.split("INSERT INTO teams")[0]
    legacy(world, head)
    for number, title in enumerate(titles, start=1):
        legacy(world, "INSERT INTO teams (title) VALUES (%s)", title)
        legacy(world, "INSERT INTO people (team, login, mail) VALUES (%s, %s, %s)",
               number, f"p{number}", f'{{"a": "p{number}@example.org"}}')  # fmt: skip
    settings.MIGRATION_PLAN = place / "plan.toml"
    settings.MIGRATION_PLAN.write_text(TEAMS_PLAN.replace('slug = "title"', 'slug = "title || id::text"'))
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    sync_tenants()
    both_loops()
    return [row[0] for row in iam(world, "SELECT id::text FROM tenants ORDER BY id")]


# (a) notices


def test_two_tenants_of_one_name_are_both_told_that_they_have_moved(
    world: World, settings: Any, tmp_path: Path
) -> None:
    one, two = teams(world, settings, tmp_path, "Sales", "Sales")
    texts.save("completion", "en", by="otto", **COMPLETION)
    texts.save("moving", "en", by="otto", **(COMPLETION | {"kind": "announcement"}))
    for tenant in (one, two):
        assert moved(tenant).error == ""
        both_loops()
        finalize.finalize_tenant(tenant, by="tester", reason="done")
        planning.tick()
    assert set(Completed.objects.values_list("tenant", flat=True)) == {one, two}


def test_and_other_notices_go_out_meanwhile(world: World, settings: Any, tmp_path: Path) -> None:
    one, two = teams(world, settings, tmp_path, "Sales", "Sales")
    texts.save("completion", "en", by="otto", **COMPLETION)
    texts.save("moving", "en", by="otto", **(COMPLETION | {"kind": "announcement"}))
    for tenant in (one, two):
        assert moved(tenant).error == ""
        both_loops()
        finalize.finalize_tenant(tenant, by="tester", reason="done")
        with suppress(Refusal):
            planning.tick()
    urgent = planning.plan("Urgent", "moving", {}, by="otto")
    with suppress(Refusal):
        planning.tick()
    urgent.refresh_from_db()
    assert urgent.state == "sent"


def test_no_link_is_mailed_to_people_of_a_tenant_that_only_reads_first(
    world: World, joined: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://portal.example.org"
    joined()

    person(world, "ann", hash="proprietary:1")
    legacy(world, "UPDATE people SET mail = 'ann@example.org'")
    migrated(world)
    texts.save("reset", "en", by="otto", kind="maintenance", subject="s", text="See $password_link", html="")
    settings.BACKUPS_REQUIRED = False
    reads_first.begin(TenantHome.objects.all(), by="t", reason="r")
    notice = planning.plan("Reset", "reset", {"passwords": "legacy"}, by="otto")
    send.expand(notice)
    [to] = Recipient.objects.filter(notice=notice)
    with pytest.raises(password_mail.Unwanted, match="still at home in legacy"):
        password_mail.link_of(to)


# (b) checkpoints


def test_who_has_no_password_has_no_bad_one(world: World, joined: Any) -> None:
    joined()
    legacy(world, "INSERT INTO people (login, org, mail) SELECT 'sso', id, 's@example.org' FROM orgs LIMIT 1")
    migrated(world)
    found = result(taking.take(by="tester"), "Passwords are hashed well")
    assert found["passed"] is True, found


def test_after_everything_was_rolled_back_no_row_is_missed(world: World, plan: Any, settings: Any) -> None:
    settings.ROLLBACK_ASKS = []
    plan()
    organizations(world)
    users(world, "ann", "bob")
    migrated(world)
    assert moved(ONE).error == ""
    made = gone_on(execute.start(Kind.DATABASE, by="ada", reason="errors"))
    assert made.outcome == "done", (made.step, made.step and made.step.detail)
    found = result(taking.take(by="tester"), "Every row is accounted for")
    assert found["passed"] is not False, found
    one = next(each for each in criteria() if each.name == "Data integrity")
    assert one.met is not False, one


def test_nor_after_a_second_run_was_cancelled(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "bob")
    migrated(world)
    run = start(by="tester")
    cancel(run, by="tester", reason="a slip")
    builders.finish(run)
    assert Run.objects.get(pk=run.pk).state == "cancelled"
    found = result(taking.take(by="tester"), "Every row is accounted for")
    assert found["passed"] is True, found


# (d) roll-backs


def waved(world: World, plan: Any, *, guarded: bool) -> Wave:
    """Two tenants in a wave, of which the first has moved."""
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    wave = waves.plan("w", {"kind": "share", "percent": 100}, by="otto", guarded=guarded, at_once=1)
    waves.start(wave, by="otto")
    return wave


def first_moved() -> None:
    """The first of the moves under way is made."""
    first, mover = Cutover.objects.under_way().order_by("id").first(), Mover()
    assert first is not None
    move(first, mover)
    mover.close()
    first.refresh_from_db()
    assert first.state == "done", first.error


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


def test_the_strays_of_a_tenant_that_legacy_counts_are_counted(world: World, settings: Any, tmp_path: Path) -> None:
    one, _ = teams(world, settings, tmp_path, "acme", "bolt")
    assert moved(one).error == ""
    legacy(world, "UPDATE people SET phone = '1' WHERE login = 'p1'")
    both_loops()
    assert Stray.objects.filter(state="open").count() == 1
    assert scopes.scope_of([one]).strays == 1


# (f) first log-ins


def test_a_password_is_not_asked_of_legacy_for_who_has_none(world: World, joined: Any, settings: Any) -> None:
    joined()
    legacy(world, "INSERT INTO people (login, org, mail) SELECT 'sso', id, 's@example.org' FROM orgs LIMIT 1")
    migrated(world)
    for tenant in TenantHome.objects.values_list("pk", flat=True):
        assert moved(tenant).error == ""
    there = Legacy()
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = there.url, "a secret of both sides"
    with pytest.raises(sign_in.WrongCredentials):
        sign_in.sign_in(sign_in.Asked("sso", "only legacy knows"))
    assert there.asked == []


# (g) figures


def test_the_inventory_names_what_the_iam_can_check(world: World, plan: Any) -> None:
    plan()
    for number, stored in enumerate(
        ("argon2$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", "bcrypt_sha256$$2b$04$x", "!", "")
    ):
        legacy(world, "INSERT INTO auth_user (username, email, password) VALUES (%s, %s, %s)",
               f"u{number}", f"u{number}@example.org", stored)  # fmt: skip
    assert "unknown" not in inventory()["password_schemes"]


def test_the_inventory_counts_a_tenants_users_whatever_case_its_id_is_in(
    world: World, settings: Any, tmp_path: Path
) -> None:
    legacy(world, "CREATE TABLE firms (id uuid PRIMARY KEY, title text NOT NULL);"
                  "CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), firm text NOT NULL, login text NOT NULL);"
                  f"INSERT INTO firms VALUES ('{ONE}', 'Acme');"
                  f"INSERT INTO people (firm, login) VALUES (upper('{ONE}'), 'ann'), ('{ONE}', 'bob')")  # fmt: skip
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text("""
name = "firms"
[[tables]]
source = "firms"
target = "tenants"
key = ["id"]
tenant = "id"
columns = { id = "id", name = "title", slug = "title" }
reverse = { id = "id", title = "name" }
[[tables]]
source = "people"
target = "users"
key = ["id"]
tenant = "tenant_id"
columns = { id = "id", tenant_id = "firm::uuid", username = "login", hashed_password = "'!'" }
reverse = { id = "id", firm = "tenant_id::text", login = "username" }
""")
    run = builders.migrated(world, capture=True)
    assert report(run).passed
    assert [(each["id"], each["users"]) for each in inventory()["tenants"]] == [(ONE, 2)]


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


def born(world: World, tenant: str, name: str, **more: Any) -> str:
    row = {"tenant_id": tenant, "username": name, "email": f"{name}@example.org", "hashed_password": "$2b$12$x",
           "full_name": "Zoe Ray", "is_active": True, "is_superuser": False} | more  # fmt: skip
    [(id,)] = iam(world, f"INSERT INTO users ({', '.join(row)}, created_at) VALUES ({', '.join(['%s'] * len(row))}, now())"
                         " RETURNING id::text", *row.values())  # fmt: skip
    return str(id)


LADDERS = {
    "02_people_and_credentials": (unlike_people, "SELECT id::text FROM orgs ORDER BY code LIMIT 1"),
    "04_django": (of_django, f"SELECT '{DJANGO}'"),
    "05_roles_by_name": (of_companies, "SELECT id::text FROM companies ORDER BY short LIMIT 1"),
    "07_staff_and_customers": (unlike_staff, "SELECT id::text FROM firms ORDER BY code LIMIT 1"),
}


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
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE id = (SELECT min(id::text)::uuid FROM users"
               " WHERE tenant_id = %s AND (is_superuser OR username NOT LIKE '%%@%%'))", tenant)  # fmt: skip
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


def test_a_firm_born_after_the_end_is_final(world: World, settings: Any) -> None:
    begun(world, settings, "05_roles_by_name")
    builders.decided()
    for tenant in TenantHome.objects.values_list("pk", flat=True):
        assert moved(tenant).error == ""
    both_loops()
    finalize.finalize(by="tester", reason="done")
    homes.born_in_iam("5f0c0000-0000-4000-8000-0000000000aa", "New")

    left = [(each.what, each.count, each.some) for each in remaining() if not each.done]
    assert not [each for each in left if "reversed" in each[0]]


def test_a_where_that_takes_rows_out_is_refused_when_a_plan_is_revised(
    world: World, settings: Any, tmp_path: Path
) -> None:
    changed(world, settings, tmp_path)
    legacy(world, "UPDATE staff SET active = false WHERE login = 'firm1-1'")
    run = begun_views(world)
    one = firm(world, "firm1")
    assert moved(one).error == ""
    count = "SELECT count(*), count(desk) FROM staff"
    before = legacy(world, count)
    text = settings.MIGRATION_PLAN.read_text()
    text = text.replace('where = "is_superuser"', 'where = "is_superuser AND is_active"').replace(
        'where = "NOT is_superuser"', 'where = "NOT (is_superuser AND is_active)"'
    )
    settings.MIGRATION_PLAN.write_text(text)
    with suppress(PlanError):
        revise(run, by="tester", reason="a test")
    both_loops()
    assert legacy(world, count) == before


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
    iam(world, "UPDATE users SET email = 'there@example.org' WHERE id = (SELECT min(id::text)::uuid FROM users"
               " WHERE tenant_id = %s AND (is_superuser OR username NOT LIKE '%%@%%'))", tenant)  # fmt: skip
    [(gone,)] = iam(
        world,
        "SELECT max(id::text) FROM users WHERE tenant_id = %s AND username NOT LIKE 'yan%%' AND username <> 'zoe'",
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


@pytest.mark.parametrize("decided", ["open", "discarded"])
def test_a_row_that_was_kept_back_and_deleted_since_is_no_row_of_legacys(
    world: World, settings: Any, tmp_path: Path, decided: str
) -> None:
    odd_teams(world, settings, tmp_path)
    if decided == "discarded":
        builders.decided()
    legacy(world, "DELETE FROM people WHERE login = 'bob'")
    both_loops()
    run = Run.objects.get()
    verify(run, by="tester")
    builders.finish(run)
    found = report(Run.objects.get()).tables["users"]
    assert found.source == legacy(world, "SELECT count(*) FROM people")[0][0], found


def test_what_comes_back_once_more_does_so_also_after_a_plan_was_revised_and_the_iam_went_away(
    world: World, plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(
        ("secret =", 'lossy = ["full_name"]\nsecret ='),
        (
            'full_name = "full_name"\nis_active = "is_active"\nis_superuser = "is_superuser"\ndate_joined',
            'full_name = "left(full_name, 2)"\nis_active = "is_active"\nis_superuser = "is_superuser"\ndate_joined',
        ),
    )
    users(world, "ann")
    run = migrated(world)
    assert moved(ONE).error == ""
    iam(world, "UPDATE users SET full_name = 'Ann of the IAM'")
    both_loops()
    assert legacy(world, "SELECT full_name FROM auth_user") == [("An",)]

    text = settings.MIGRATION_PLAN.read_text().replace("left(full_name, 2)", "full_name")
    settings.MIGRATION_PLAN.write_text(text)
    iam(
        world, "ALTER FUNCTION portal_capture.whole(text) RENAME TO away"
    )  # the IAM goes away after the portal has committed
    with pytest.raises(psycopg.Error):
        revise(run, by="tester", reason="a test")
    iam(world, "ALTER FUNCTION portal_capture.away(text) RENAME TO whole")
    with suppress(Refusal):
        revise(Run.objects.get(pk=run.pk), by="tester", reason="a test")
    both_loops()
    assert legacy(world, "SELECT full_name FROM auth_user") == [("Ann of the IAM",)]


def test_a_tenant_is_in_one_open_wave_also_after_another_is_tried_again(world: World, plan: Any) -> None:
    wave = waved(world, plan, guarded=False)
    waves.stop(wave, by="otto", reason="no")
    waves.plan("x", {"kind": "share", "percent": 100}, by="otto", guarded=False)
    with suppress(Refusal):
        waves.retry(wave, by="otto")
    assert not Wave.objects.open().filter(name="w").exists()


@pytest.mark.parametrize("how", ["whole", "revised", "truncated queue"])
def test_what_the_iam_has_no_word_for_stays_in_legacy_when_all_is_looked_at(
    world: World, settings: Any, tmp_path: Path, how: str
) -> None:
    run = begun(world, settings, "05_roles_by_name")
    builders.decided()
    kept = legacy(world, "SELECT account, role FROM account_roles WHERE role = 'auditor'")
    assert len(kept) == 1
    [(tenant,)] = legacy(world, "SELECT company::text FROM accounts WHERE id = %s", kept[0][0])
    assert moved(tenant).error == ""
    both_loops()
    assert legacy(world, "SELECT account, role FROM account_roles WHERE role = 'auditor'") == kept
    if how == "whole":
        iam(world, "SELECT portal_capture.whole('user_roles')")
    elif how == "truncated queue":
        iam(world, "UPDATE portal_capture.brake SET upto = 0")
        iam(
            world,
            "UPDATE user_roles SET created_at = now() WHERE user_id = (SELECT id FROM users WHERE tenant_id = %s LIMIT 1)",
            tenant,
        )
    else:
        text = settings.MIGRATION_PLAN.read_text().replace(
            'since = "coalesce(created_at, now())"', 'since = "coalesce(created_at, now(), now())"'
        )
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(text)
        assert revise(run, by="tester", reason="a test") == ["user_roles"]
    both_loops()
    assert legacy(world, "SELECT account, role FROM account_roles WHERE role = 'auditor'") == kept


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


@pytest.mark.parametrize("how", ["whole", "revised", "swapped"])
def test_what_a_rule_keeps_out_stays_in_legacy_when_all_is_looked_at(
    world: World, settings: Any, tmp_path: Path, how: str, backups: Path, databases_left: list[str]
) -> None:
    settings.MIGRATION_PLAN = EXAMPLES / "03_keycloak" / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / "03_keycloak")
    realm = legacy(world, "SELECT id FROM realm ORDER BY name LIMIT 1")[0][0]
    legacy(world, "INSERT INTO keycloak_role (id, name, realm_id, realm, client_role, client)"
                  " VALUES (gen_random_uuid()::text, 'of a client', %s, %s, true, 'shop')", realm, realm)  # fmt: skip
    legacy(world, "INSERT INTO user_entity (id, username, email_constraint, enabled, realm_id, service_account_client_link)"
                  " VALUES (gen_random_uuid()::text, 'service-account-shop', 'x', true, %s, 'shop')", realm)  # fmt: skip
    legacy(world, "INSERT INTO credential (id, type, user_id) SELECT gen_random_uuid()::text, 'secret', id FROM user_entity"
                  " WHERE username = 'service-account-shop'")  # fmt: skip
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures
    builders.decided()
    sync_tenants()
    both_loops()
    count = "SELECT (SELECT count(*) FROM keycloak_role), (SELECT count(*) FROM user_entity), (SELECT count(*) FROM credential)"
    before = legacy(world, count)
    if how == "swapped":
        made = restored(world, databases_left)
    assert moved(realm).error == ""
    both_loops()
    assert legacy(world, count) == before
    if how == "whole":
        iam(world, "SELECT portal_capture.whole('users'), portal_capture.whole('roles')")
    elif how == "swapped":
        swapped(made, databases_left)
        for _ in range(5):
            follow("reverse", seconds=0.01)
    else:
        text = settings.MIGRATION_PLAN.read_text().replace(
            'description = "description"', 'description = "(description)"', 2
        )
        text = text.replace('description = "(description)"', 'description = "description"', 1)
        text = text.replace(
            'username = "username"\nemail = "email"\nemail_constraint',
            'username = "(username)"\nemail = "email"\nemail_constraint',
        )
        settings.MIGRATION_PLAN = tmp_path / "plan.toml"
        settings.MIGRATION_PLAN.write_text(text)
        assert set(revise(run, by="tester", reason="a test")) == {"roles", "users"}
    if how != "swapped":
        both_loops()
    assert legacy(world, count) == before


def test_what_cannot_be_mapped_stays_in_legacy_when_all_of_the_iams_is_looked_at(
    world: World, settings: Any, tmp_path: Path
) -> None:
    odd_teams(world, settings, tmp_path)
    builders.decided()
    assert moved(team(world, "bolt")).error == ""
    iam(world, "SELECT portal_capture.whole('users')")
    both_loops()
    assert legacy(world, "SELECT login FROM people ORDER BY 1") == [("ann",), ("bob",), ("gone",)]


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


def test_inventories_with_a_person_of_no_tenant_are_compared(world: World, plan: Any) -> None:
    plan(*BY_TEXT)
    organizations(world, ONE)
    users(world, "ann", organization="1")
    before = inventory()
    users(world, "odd", organization="z")
    after = inventory()
    assert [change for change in compare(before, after) if change.subject == "auth_user"]


def test_the_page_of_two_such_inventories_is_shown(world: World, plan: Any) -> None:
    plan(*BY_TEXT)
    organizations(world, ONE)
    users(world, "ann", organization="1")
    one = asking.take_now("inventory", by="t")
    users(world, "odd", organization="z")
    two = asking.take_now("inventory", by="t")
    client = browser("operator")
    client.raise_request_exception = False
    for path in (f"{two.pk}/change/", f"{two.pk}/download.txt", f"compare/?before={one.pk}&after={two.pk}"):
        assert client.get(f"/admin/inventory/inventory/{path}").status_code == 200, path


@pytest.mark.parametrize("how", ["uncaptured", "finalized"])
def test_a_report_says_the_same_once_nothing_is_captured_any_more(
    world: World, settings: Any, tmp_path: Path, how: str
) -> None:
    one, two = teams(world, settings, tmp_path, "acme", "bolt")
    legacy(world, "INSERT INTO people (team, login, mail) VALUES (1, 'late', 'not json')")
    both_loops()
    for _ in range(7):
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
        both_loops()
    run = Run.objects.get()
    builders.decided()
    verify(run, by="tester")
    builders.finish(run)
    assert report(Run.objects.get()).passed, report(Run.objects.get())
    if how == "uncaptured":
        uncapture.uncapture(Run.objects.get(), by="tester", reason="r")
    else:
        for tenant in (one, two):
            assert moved(tenant).error == ""
            both_loops()
        finalize.finalize(by="tester", reason="done")
    found = report(Run.objects.get())
    assert found.passed, found
    assert result(taking.take(by="t"), "Every row is accounted for")["passed"] is True


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


def test_a_row_kept_back_stays_in_legacy_also_by_the_default_plan(world: World) -> None:
    builders.legacy_tables(world)
    acme = builders.tenant(world, name="Acme")
    builders.user(world, acme, username="ann", email="same@example.org")
    builders.user(world, acme, username="odd", id="no-uuid")
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.failures

    builders.decided()
    sync_tenants()
    both_loops()
    assert moved(acme).error == ""
    before = legacy(world, "SELECT username FROM users ORDER BY 1")
    iam(world, "UPDATE portal_capture.brake SET upto = 0")  # the queue is full: triggers record whole tables
    iam(world, "UPDATE users SET full_name = 'Ann'")
    both_loops()
    assert legacy(world, "SELECT username FROM users ORDER BY 1") == before


def test_a_stray_that_nobody_decided_stays_when_all_of_the_iams_is_looked_at(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    assert moved(TWO).error == ""
    users(world, "astray", organization="two")
    both_loops()
    [stray] = Stray.objects.filter(state="open")
    iam(world, "SELECT portal_capture.whole('users')")
    both_loops()
    assert legacy(world, "SELECT username FROM auth_user WHERE username = 'astray'") == [("astray",)]
    resolve.accept(stray, by="tester", reason="theirs")
    assert iam(world, "SELECT username FROM users WHERE username = 'astray'") == [("astray",)]


def test_a_stray_of_the_iams_stays_there_when_all_of_legacys_is_looked_at(world: World, plan: Any) -> None:
    plan(*BY_ORGANIZATION)
    organizations(world, ONE, TWO)
    users(world, "ann")
    users(world, "bob", organization="two")
    migrated(world)
    assert moved(TWO).error == ""
    born(world, ONE, "astray")
    legacy(world, "SELECT portal_capture.whole('auth_user')")
    both_loops()
    [stray] = Stray.objects.filter(state="open", direction="reverse")
    legacy(world, "SELECT portal_capture.whole('auth_user')")
    both_loops()
    assert iam(world, "SELECT username FROM users WHERE username = 'astray'") == [("astray",)]
    resolve.accept(stray, by="tester", reason="theirs")
    assert legacy(world, "SELECT username FROM auth_user WHERE username = 'astray'") == [("astray",)]


def test_the_dashboard_counts_rows_in_quarantine_once(world: World, settings: Any) -> None:
    run = begun(world, settings, "05_roles_by_name")

    mine = QuarantinedRow.objects.filter(run=run.key, state="open").count()
    assert mine == 1
    assert now(None)["quarantined"] == mine  # type: ignore[arg-type]


def test_and_none_of_a_run_that_was_undone(world: World, settings: Any) -> None:
    settings.MIGRATION_PLAN = EXAMPLES / "05_roles_by_name" / "plan.toml"
    with world.legacy() as connection:
        examples.fill_legacy(connection, EXAMPLES / "05_roles_by_name")
    run = builders.migrated(world)
    undo(run, by="tester", reason="r")
    builders.finish(run)
    assert now(None)["quarantined"] == 0  # type: ignore[arg-type]


def test_the_board_counts_what_is_in_quarantine_of_a_tenant_that_legacy_counts(
    world: World, settings: Any, tmp_path: Path
) -> None:
    odd_teams(world, settings, tmp_path)
    shown = browser("operator").get("/admin/cutover/").content.decode()
    [row] = [each for each in re.findall(r"<tr.*?</tr>", shown, re.S) if ">bolt<" in each]
    figures = [each.strip() for each in re.findall(r'<td class="p-num">(.*?)</td>', row, re.S)]
    assert "In quarantine: 1" in moved(team(world, "bolt")).error
    assert re.sub("<.*?>", "", figures[-1], flags=re.S) == "1"


def test_the_matrix_hears_of_findings_beside_a_run_that_was_cancelled(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "bob")
    run = migrated(world)
    other = start(by="tester")
    cancel(other, by="tester", reason="a slip")
    builders.finish(other)
    judge.judge()
    assert moved(ONE).error == ""
    iam(world, "INSERT INTO portal_ledger.findings (run, verification, table_name, kind, key)"
               " VALUES (%s, %s, 'users', 'differs', %s)",
        run.key, run.verification, ["a"])  # fmt: skip
    assert Run.objects.in_force() == run and run.differing == 1
    assert measure().integrity_findings == 1
    assert "The last verification has findings." in health.blockers()


def test_a_checkpoint_after_the_end_does_not_say_that_nobody_lives_in_the_iam(world: World, plan: Any) -> None:
    plan()
    users(world, "ann")
    migrated(world)
    assert moved(ONE).error == ""
    both_loops()
    finalize.finalize(by="tester", reason="done")
    assert TenantHome.objects.filter(home="iam").count() == 1
    assert result(taking.take(by="t"), "Tenants can be reversed")["what"] != "No tenant lives in the IAM."


def test_whose_password_was_taken_away_is_let_in_by_nobody(world: World, settings: Any) -> None:
    begun(world, settings, "03_keycloak")
    realm = legacy(world, "SELECT id FROM realm ORDER BY name LIMIT 1")[0][0]
    assert moved(realm).error == ""
    [(name,)] = iam(world, "UPDATE users SET hashed_password = '!' WHERE id ="
                           " (SELECT min(id::text)::uuid FROM users WHERE tenant_id = %s) RETURNING username", realm)  # fmt: skip
    both_loops()
    there = Legacy()  # which has kept the password, for the plan brings none back
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = there.url, "a secret of both sides"
    with pytest.raises(sign_in.WrongCredentials):
        sign_in.sign_in(sign_in.Asked(name, "only legacy knows", tenant=realm))


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


def test_reset_of_many_by_mail_goes_back_with_them(world: World, joined: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://portal.example.org"
    joined()
    for name in ("ann", "bob"):
        person(world, name, hash="proprietary:1")
    legacy(world, "UPDATE people SET mail = login || '@example.org'")
    migrated(world)
    acme = org(world, "acme")
    assert moved(acme).error == ""
    texts.save("reset", "en", by="otto", kind="maintenance", subject="s", text="See $password_link", html="")
    notice = planning.plan("Reset", "reset", {"passwords": "legacy"}, by="otto")
    send.expand(notice)
    assert Recipient.objects.filter(notice=notice).count() == 2
    ann = User.objects.get(username="ann")
    password_links.use(password_links.token_of(ann), "a long and new passphrase")
    there = Legacy()
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = there.url, "a secret of both sides"
    sign_in.sign_in(sign_in.Asked("bob", "only legacy knows", tenant=acme))
    both_loops()
    assert unlike_people(world) == set()
    assert {row[0][:4] for row in legacy(world, "SELECT hash FROM credentials")} == {"$2b$"}
    with pytest.raises(password_mail.Unwanted):
        password_mail.link_of(Recipient.objects.get(notice=notice, email="bob@example.org"))
    assert moved(acme, "legacy").error == ""
    assert unlike_people(world) == set()


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


# plans that are others in the next run


def test_a_table_that_is_left_out_of_the_next_run_stops_nobody(world: World, settings: Any, tmp_path: Path) -> None:
    begun(world, settings, "04_django")
    text, _, _ = (EXAMPLES / "04_django/plan.toml").read_text().partition('[[tables]]\nsource = "auth_user_groups"')
    settings.MIGRATION_PLAN = tmp_path / "plan.toml"
    settings.MIGRATION_PLAN.write_text(text)
    assert report(builders.migrated(world, capture=True)).passed
    legacy(world, "DELETE FROM auth_user_groups WHERE id = (SELECT min(id) FROM auth_user_groups)")
    legacy(world, "UPDATE auth_user SET email = 'new@example.org' WHERE username = 'user7'")
    both_loops()
    assert iam(world, "SELECT email FROM users WHERE username = 'user7'") == [("new@example.org",)]


def test_a_rule_that_is_new_in_the_next_run_is_no_pass_while_the_iam_has_its_rows(world: World, plan: Any) -> None:
    plan()
    users(world, "ann", "bob")
    migrated(world)
    plan(("[tables.reverse]", "[tables.reject]\nbob = \"username = 'bob'\"\n\n[tables.reverse]"))
    run = builders.migrated(world, capture=True)
    builders.decided()
    verify(run, by="tester")
    builders.finish(run)
    both_loops()
    there = iam(world, "SELECT username FROM users ORDER BY 1")
    passed, refused = report(Run.objects.get(pk=run.pk)).passed, moved(ONE).error
    assert there == [("ann",)] or not passed, (there, refused)


# what held


def test_a_paused_notice_of_a_wave_goes_on_with_those_who_are_there(world: World, plan: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    waved(world, plan, guarded=False)
    texts.save("moving", "en", by="otto", **(COMPLETION | {"kind": "announcement"}))
    notice = planning.plan("W", "moving", {"wave": "w"}, by="otto")
    planning.move(notice, "paused", by="otto")
    planning.tick()
    planning.move(notice, "sending", by="otto")
    planning.tick()
    notice.refresh_from_db()
    assert (notice.state, planning.counts(notice)["sent"]) == ("sent", 2)


def test_a_wave_that_was_stopped_midway_can_be_rolled_back(world: World, plan: Any) -> None:
    wave = waved(world, plan, guarded=False)
    first_moved()
    waves.stop(wave, by="otto", reason="midway")
    made = gone_on(execute.start(Kind.IMMEDIATE, by="ada", reason="errors", wave="w"), turns=12)
    assert made.outcome == "done"
    assert differences(world) == set()


def test_an_expression_that_is_another_in_the_next_run(world: World, plan: Any) -> None:
    plan()
    users(world, "Ann", "Bob")
    migrated(world)
    plan(('email = "email"\nhashed', 'email = "lower(email)"\nhashed'), ("secret =", 'lossy = ["email"]\nsecret ='))
    two = builders.migrated(world, capture=True)
    assert report(two).passed
    emails = "SELECT email FROM users ORDER BY 1"
    assert iam(world, emails) == [("ann@example.org",), ("bob@example.org",)]
    undo(Run.objects.get(pk=two.pk), by="t", reason="r")
    builders.finish(Run.objects.get(pk=two.pk))
    assert iam(world, emails) == [("Ann@example.org",), ("Bob@example.org",)]
    legacy(world, "UPDATE auth_user SET full_name = 'Since'")
    uncapture.remove_leftovers()
    both_loops()
    assert iam(world, "SELECT DISTINCT full_name FROM users") == [("Since",)]
