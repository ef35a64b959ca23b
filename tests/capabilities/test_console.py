"""The capabilities' pages: what is shown, who may change it, that it is in force at once and on the record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from flags.models import TenantHome
from iam import capabilities
from iam.models import TenantCapability, User
from migration_portal.audit.models import Event
from tests import builders
from tests.iam.enrolling import with_codes
from tests.legacy_compat.conftest import make_tenant, make_user
from tests.world import World


def own(tenant: Any, key: str) -> TenantCapability | None:
    return TenantCapability.objects.filter(tenant=tenant, capability_key=key).first()


def test_the_system_is_switched_with_a_reason_and_on_the_record(console: Client, world: World) -> None:
    form = {"enabled": "yes", "value": '{"value": "5m"}'}
    assert b"needs a reason" in console.post("/admin/capabilities/of/max_token_ttl/", form, follow=True).content
    console.post("/admin/capabilities/of/max_token_ttl/", form | {"reason": "audit finding"})
    assert capabilities.of(None).longest("access").total_seconds() == 300  # type: ignore[union-attr]
    event = Event.objects.get(verb="change_capability")
    assert (event.actor, event.object_id, event.reason) == ("otto", "max_token_ttl", "audit finding")
    assert event.data == {"state": 'on {"value": "5m"}', "from": 'on {"value": "15m"}'}


@pytest.mark.parametrize("value", ["15m", "[1]", "{", '{"value": "\\u0000"}', '{"value": NaN}', "[" * 100_000])
def test_a_value_that_is_no_object_is_refused(console: Client, world: World, value: str) -> None:
    tenant = make_tenant()
    form = {"tenant": str(tenant.pk), "enabled": "yes", "value": value, "reason": "x"}
    answer = console.post("/admin/capabilities/of/oidc/tenants/", form, follow=True)
    assert answer.status_code == 200 and not own(tenant, "oidc")


def test_tenants_are_changed_in_bulk_by_what_the_filter_shows(console: Client, world: World) -> None:
    blue, red = [make_tenant(name=f"Blue {n}") for n in range(3)], make_tenant(name="Red")
    page = "/admin/capabilities/of/oauth2/tenants/?q=Blue"
    console.post(page, {"all": "yes", "value": "", "reason": "rolled back"})
    assert [own(tenant, "oauth2").enabled for tenant in blue] == [False] * 3 and not own(red, "oauth2")  # type: ignore[union-attr]
    assert not capabilities.of(blue[0].pk).on("oauth2") and capabilities.of(red.pk).on("oauth2")
    events = Event.objects.filter(verb="change_tenant_capability")
    assert {event.object_id for event in events} == {str(tenant.pk) for tenant in blue}
    listed = console.get("/admin/capabilities/of/oauth2/?state=off").content.decode()
    assert "Blue 0" in listed and "Red" not in listed


def test_what_is_no_tenant_is_refused(console: Client, world: World) -> None:
    form = {"tenant": ["nobody", "00000000-0000-4000-8000-000000000009"], "enabled": "yes", "reason": "x"}
    assert b"None of these tenants" in console.post("/admin/capabilities/of/oidc/tenants/", form, follow=True).content


def test_a_tenants_page_says_why(console: Client, world: World) -> None:
    tenant = make_tenant()
    form = {"tenant": str(tenant.pk), "from": "tenant", "value": '{"max_access_token_ttl_minutes": 3}', "reason": "x"}
    back = console.post("/admin/capabilities/of/max_token_ttl/tenants/", form | {"enabled": "yes"})
    assert back["Location"] == f"/admin/capabilities/tenant/{tenant.pk}/"
    page = console.get(back["Location"]).content.decode()
    assert "The tenant has a value of its own." in page and "The system does not offer it." in page


def test_an_enrolment_is_ended_where_the_iam_owns_it(console: Client, world: World, settings: Any) -> None:
    user, _ = with_codes(settings, make_tenant())
    page = f"/admin/capabilities/user/{user.pk}/"
    assert console.get(page).status_code == 200
    console.post(f"{page}end/", {"reason": "lost telephone"})
    assert not User.objects.get(pk=user.pk).mfa_enabled
    assert Event.objects.get(verb="end_enrolment").object_id == str(user.pk)
    away, _ = with_codes(settings, make_tenant())
    TenantHome.objects.filter(pk=str(away.tenant_id)).update(home=TenantHome.Home.LEGACY)
    answer = console.post(f"/admin/capabilities/user/{away.pk}/end/", {"reason": "x"}, follow=True)
    assert b"lives in legacy" in answer.content and User.objects.get(pk=away.pk).mfa_enabled


def test_changing_is_for_operators_and_only_by_post(console: Client, world: World) -> None:
    tenant, user = make_tenant(), make_user(make_tenant())
    builders.member("viewer", username="vera")
    client = Client()
    client.login(username="vera", password="secret-pass-1")
    pages = ["", "of/mfa/", f"tenant/{tenant.pk}/", f"user/{user.pk}/"]
    assert [client.get(f"/admin/capabilities/{page}").status_code for page in pages] == [200] * 4
    for page in ("derive/", "of/mfa/", "of/mfa/tenants/", f"user/{user.pk}/end/"):
        assert client.post(f"/admin/capabilities/{page}", {"reason": "x"}).status_code == 403
    assert console.get("/admin/capabilities/derive/").status_code == 405


def test_the_board_says_what_deriving_would_do_and_does_it(console: Client, world: World) -> None:
    assert b"No run has completed" in console.get("/admin/capabilities/?would=yes").content
    builders.legacy_tables(world)
    builders.settings_of(world, builders.tenant(world), mfa_required=True)
    builders.migrated(world)
    with world.iam() as iam:
        iam.execute("DELETE FROM tenant_capabilities WHERE capability_key = 'oidc'")
    assert b"Kept, as somebody decided" in console.get("/admin/capabilities/?would=yes").content
    answer = console.post("/admin/capabilities/derive/", {"reason": "lost rows"}, follow=True)
    assert b"1 rows written" in answer.content


def test_the_terminal_derives_says_what_it_would_and_takes_it_back(world: World, portal: Any) -> None:
    builders.legacy_tables(world)
    builders.settings_of(world, builders.tenant(world), mfa_required=True)
    builders.migrated(world)
    with world.iam() as iam:
        iam.execute("DELETE FROM tenant_capabilities WHERE capability_key = 'oidc'")
    told = json.loads(portal("capabilities", "--dry-run", "--json"))
    assert told["would"]["tenant_capabilities"]["counts"] == {"added": 1} and told["next_steps"]
    assert json.loads(portal("capabilities", "--json"))["derived"]["tenant_capabilities"] == {
        "written": 1,
        "removed": 0,
    }
    with world.iam() as iam:
        iam.execute("UPDATE tenant_capabilities SET enabled = false WHERE capability_key = 'totp'")
    assert "Rows that somebody edited" in portal("capabilities", "--undo", "--reason", "practice", refused=True)
    with world.iam() as iam:
        assert iam.execute("SELECT capability_key FROM tenant_capabilities").fetchall() == [("totp",)]
        assert iam.execute("SELECT count(*) FROM tenants").fetchone() == (1,)
