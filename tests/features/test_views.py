"""The features' pages."""

from __future__ import annotations

from decimal import Decimal

from django.test import Client

from flags import change as changing
from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.features import switch
from tests import builders
from tests.console.browsing import words
from tests.features.switching import flag
from tests.world import World


def browser(*groups: str) -> Client:
    client = Client()
    client.force_login(builders.member(*groups))
    return client


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
    page = browser("viewer").get("/admin/features/new_ui_enabled/?percentage=100&kind=user").content.decode()
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
