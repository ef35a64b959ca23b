"""The features' pages."""

from __future__ import annotations

import html
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urljoin

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from flags import change as changing
from flags.models import TenantHome
from iam.models import User
from migration_portal.audit.models import Event
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.features import switch
from tests import builders
from tests.console.browsing import words
from tests.features.switching import flag
from tests.world import World


def browser(*groups: str) -> Client:
    client = Client()
    client.force_login(builders.member(*groups))
    return client


def member_with(*permissions: str) -> Client:
    member = builders.member()
    member.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(member)
    return client


def found(client: Client, name: str) -> str:
    return client.get("/admin/features/subjects/", {"q": name}).content.decode()


def said(client: Client, url: str, data: dict) -> str:
    return client.post(url, data, follow=True).content.decode()


def test_operators_narrow_and_approvers_widen(world: World) -> None:
    operator, approver = browser("operator"), browser("approver")
    url, wider = "/admin/features/new_ui_enabled/change/", {"percentage": "25", "reason": "pilot"}
    assert operator.post(url, wider).status_code == 403
    assert "seen everywhere" in said(approver, url, wider)
    assert "seen everywhere" in said(operator, url, {"percentage": "5", "reason": "too many"})
    assert flag().percentage == 5
    assert "Killed" in said(operator, "/admin/features/new_ui_enabled/kill/", {"reason": "stop"})
    assert operator.post(url, {"percentage": "5", "revive": "yes", "reason": "again"}).status_code == 403
    verbs = list(Event.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["change_flag", "change_flag", "kill_flag"]


def test_a_change_wants_a_reason(world: World) -> None:
    assert "needs a reason" in said(browser("approver"), "/admin/features/new_ui_enabled/change/", {"percentage": "9"})
    assert flag().percentage == 0


def test_the_preview_counts_before_anything_changes(world: World) -> None:
    world.sample(users=100, tenants=10, rate=0)
    builders.migrated(world)
    page = browser("viewer").get("/admin/features/new_ui_enabled/?percentage=100&kind=user&counted").content.decode()
    users = switch.reach(flag(), percentage=Decimal(100)).users
    assert f"<b>{users}</b><span>users enabled after the change" in page
    assert flag().percentage == 0
    assert browser("viewer", "support").get("/admin/features/").status_code == 200


def test_the_form_shows_what_is_set_and_sends_it_back(world: World) -> None:
    changing.change(flag(), by="t", reason="t", targets=["user:u1", "tenant:t1"], waves=["first wave", "second"])
    page = browser("approver").get("/admin/features/new_ui_enabled/").content.decode()
    assert ">user:u1\ntenant:t1</textarea>" in page and ">first wave\nsecond</textarea>" in page
    assert "{{" not in page


def test_a_tenants_wave_turns_a_feature_on_and_the_page_says_why(world: World) -> None:
    TenantHome.objects.create(tenant="t1", legacy_tenant="t1", wave="pilot")
    changing.change(flag(), by="t", reason="t", waves=["pilot"])
    page = browser("viewer").get("/admin/features/new_ui_enabled/?tenant=t1").content.decode()
    assert "<b>On.</b> The tenant is in wave pilot." in page


def test_a_change_shows_at_once_to_whoever_made_it(world: World) -> None:
    page = browser("approver")
    for targets, said in ((["tenant:t1"], "<b>On.</b>"), ([], "<b>Off.</b>")):
        changing.change(flag(), by="t", reason="t", targets=targets)
        assert said in page.get("/admin/features/new_ui_enabled/?tenant=t1").content.decode()


def test_a_preview_of_what_is_no_percentage_says_so_on_the_page(world: World) -> None:
    answer = browser("approver").get("/admin/features/new_ui_enabled/?percentage=much")
    assert answer.status_code == 200 and "much is not a percentage" in answer.content.decode()


def test_the_page_names_what_features_that_it_requires_do_to_it(world: World) -> None:
    client = browser("viewer")
    requires = flag("oauth2_enabled")
    place = next(iter(requires.required_by.all()))
    assert "oauth2_enabled is on for nobody" in words(client.get(f"/admin/features/{place.name}/"))
    changing.change(requires, by="otto", reason="pilot", percentage=Decimal(25))
    assert "oauth2_enabled is on for 25 % of users: this is on for nobody else." in words(
        client.get(f"/admin/features/{place.name}/")
    )
    changing.change(flag("oauth2_enabled"), by="otto", reason="all", percentage=Decimal(100))
    assert "oauth2_enabled is" not in words(client.get(f"/admin/features/{place.name}/"))
    changing.kill(flag("oauth2_enabled"), by="otto", reason="trouble")
    assert "oauth2_enabled is killed" in words(client.get(f"/admin/features/{place.name}/"))


def test_counting_is_asked_for_by_the_page(world: World) -> None:
    world.sample(users=100, tenants=10, rate=0)
    builders.migrated(world)
    viewer = browser("viewer")
    for address in ("/admin/features/", "/admin/features/new_ui_enabled/?percentage=100"):
        page = viewer.get(address).content.decode()
        asked = html.unescape(page.split('hx-get="')[1].split('"')[0])
        assert f"of {switch.reach(flag()).all_users} users" not in page
        counted = viewer.get(urljoin(f"http://portal{address}", asked)).content.decode()
        assert counted.split('id="')[1] and "…</b>" not in counted and 'hx-trigger="load"' not in counted


def test_a_change_at_a_time_of_the_readers_zone(world: World) -> None:
    approver = browser("approver")
    approver.cookies["zone"] = "Asia/Tokyo"
    day = timezone.now().date() + timedelta(days=2)
    asked = {"percentage": "25", "at": f"{day}T09:00", "reason": "after the pilot"}
    assert "Scheduled" in said(approver, "/admin/features/new_ui_enabled/change/", asked)
    change = flag().scheduled.get()
    assert (change.at.date(), change.at.hour, change.values) == (day, 0, {"percentage": "25"})
    assert flag().percentage == 0
    assert "percentage → 25" in words(approver.get("/admin/features/new_ui_enabled/"))
    address = f"/admin/features/new_ui_enabled/scheduled/{change.pk}/cancel/"
    assert browser("viewer").post(address, {"reason": "no"}).status_code == 403
    operator = browser("operator")
    assert "Cancelled" in said(operator, address, {"reason": "not yet"})
    assert operator.post("/admin/features/rbac_enabled/scheduled/9/cancel/").status_code == 404


def test_scheduling_to_widen_is_the_approvers(world: World) -> None:
    at = f"{timezone.now() + timedelta(days=2):%Y-%m-%dT%H:%M}"
    asked = {"percentage": "25", "at": at, "reason": "after the pilot"}
    assert browser("operator").post("/admin/features/new_ui_enabled/change/", asked).status_code == 403
    assert "That is no time" in said(
        browser("approver"), "/admin/features/new_ui_enabled/change/", asked | {"at": "noon"}
    )
    assert not flag().scheduled.exists()


def test_a_feature_is_made_for_nobody(world: World) -> None:
    approver = browser("approver")
    asked = {"name": "dark_mode", "note": "Dark pages", "requires": ["new_ui_enabled"], "reason": "wanted"}
    assert browser("operator").post("/admin/features/new/", asked).status_code == 403
    assert "on for nobody" in said(approver, "/admin/features/new/", asked)
    made = flag("dark_mode")
    assert (made.percentage, made.note, made.requires.get().name) == (0, "Dark pages", "new_ui_enabled")
    assert "a feature of that name" in said(approver, "/admin/features/new/", asked)
    for name in ("", "Dark mode", "new", "subjects", "x" * 101, "a/b"):
        assert "no name for a feature" in said(approver, "/admin/features/new/", asked | {"name": name})
    assert Event.objects.get(verb="create_flag").object_id == str(made.pk)


def test_tenants_and_people_are_found_by_name(world: World) -> None:
    world.sample(users=100, tenants=10, rate=0)
    builders.migrated(world, capture=True)
    sync_tenants()
    tenant, person = TenantHome.objects.order_by("name")[0], User.objects.exclude(email=None).order_by("pk")[0]
    operator, narrower = browser("operator"), member_with("view_flag", "narrow_flag")
    assert f'data-value="tenant:{tenant.pk}"' in found(operator, tenant.name)
    assert f'data-value="user:{person.pk}"' in found(operator, str(person.email))
    assert Event.objects.filter(verb="search_people").count() == 2
    assert "user:" not in found(narrower, str(person.email)) and f"tenant:{tenant.pk}" in found(narrower, tenant.name)
    assert browser("viewer").get("/admin/features/subjects/?q=a").status_code == 403
    switch.switch(
        flag(), by="t", reason="t", targets=[f"user:{person.pk}", "user:nobody"], excluded=[f"tenant:{tenant.pk}"]
    )
    page = words(operator.get("/admin/features/new_ui_enabled/"))
    assert str(person.username) in page and f"{tenant.name} tenant, at home in" in page
    assert str(person.username) not in words(narrower.get("/admin/features/new_ui_enabled/"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "101", "five"])
def test_what_is_no_percentage_is_refused(world: World, number: str) -> None:
    approver = browser("approver")
    asked = {"percentage": number, "steps": number, "hours": "1", "reason": "x"}
    for door in ("change", "ramp"):
        assert "percentage" in said(approver, f"/admin/features/new_ui_enabled/{door}/", asked)
    assert approver.get("/admin/features/new_ui_enabled/", {"percentage": number}).status_code == 200
    assert flag().percentage == 0
