"""Licences, and what they are worth."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from iam.models import License, Subscription, SubscriptionPlan, Tenant
from tests.legacy_compat.conftest import make_licence
from tests.legacy_compat.served.conftest import PAGE, Caller, L, detail, kinds
from tests.legacy_compat.upstream import Upstream


def subscription(tenant: Tenant, **values: Any) -> str:
    now = datetime.now(UTC)
    row = {"status": "active", "issue_date": now, "end_date": now + timedelta(days=60), "plan_id": None}
    return str(Subscription.objects.create(tenant_id=tenant.pk, **(row | values)).pk)


def test_licences_are_issued_read_changed_and_deleted(boss: Caller, plain: Caller) -> None:
    tenant = str(boss.user.tenant_id)
    made = plain("POST", "/api/licenses", {"tenant_id": tenant, "payload": {"seats": 3}})
    body = made.json()
    assert (made.status_code, list(body)) == (200, L)
    assert (
        len(body["license_key"]) == 392
        and body["license_key"].startswith("MIIBIjAN")
        and body["license_key"].endswith("IDAQAB")
    )
    assert (body["issued_at"], body["validity_days"], body["linked_subscription"], body["tenant_name"]) == (
        None,
        None,
        None,
        "Acme",
    )
    assert 1600 < len(License.objects.get().license_secret or "") < 1640
    place = f"/api/licenses/{body['id']}"
    read = plain("GET", place)
    assert (read.status_code, read.json()) == (200, body)
    changed = plain("PUT", place, {"validity_days": 30, "issued_at": "2026-01-01T00:00:00Z", "payload": None}).json()
    assert (changed["validity_days"], changed["issued_at"], changed["payload"]) == (
        30,
        "2026-01-01T00:00:00Z",
        {"seats": 3},
    )
    for method in ("GET", "DELETE"):
        assert detail(plain(method, f"/api/licenses/{uuid.uuid4()}")) == (404, "License not found")
    pages = plain("GET", f"/api/licenses?tenant_id={tenant}").json()
    assert list(pages) == PAGE and pages["items"] == [changed]
    assert plain("GET", f"/api/tenants/{tenant}/licenses").json() == pages
    assert plain("DELETE", place).json() == {"message": "License deleted successfully"}


def test_a_tenant_has_no_more_licences_than_it_may(boss: Caller) -> None:
    body = {"tenant_id": str(boss.user.tenant_id), "payload": {}}
    assert [boss("POST", "/api/licenses", body).status_code for _ in range(4)] == [200, 200, 200, 400]
    assert detail(boss("POST", "/api/licenses", body)) == (400, "Maximum licenses reached for this tenant")
    assert detail(boss("POST", "/api/licenses", body | {"tenant_id": str(uuid.uuid4())})) == (404, "Tenant not found")
    assert kinds(boss("POST", "/api/licenses", body | {"validity_days": 0})) == [
        ("greater_than", ["body", "validity_days"])
    ]


def test_a_linked_licence_has_its_subscriptions_dates(boss: Caller) -> None:
    linked = subscription(boss.user.tenant)
    body = {"tenant_id": str(boss.user.tenant_id), "payload": {}, "linked_subscription": linked, "validity_days": 5}
    made = boss("POST", "/api/licenses", body).json()
    assert made["linked_subscription"] is None  # its answer never names it
    read = boss("GET", f"/api/licenses/{made['id']}").json()
    assert (read["linked_subscription"], read["validity_days"]) == (linked, 60)
    unknown = body | {"linked_subscription": str(uuid.uuid4())}
    assert detail(boss("POST", "/api/licenses", unknown)) == (404, "Subscription not found")


@pytest.mark.parametrize(("interval", "days"), [("monthly", 28), ("yearly", 365)])
def test_a_subscription_without_an_end_gives_the_days_it_began_in(boss: Caller, interval: str, days: int) -> None:
    begun = datetime(2026, 2, 3, tzinfo=UTC)
    plan = str(SubscriptionPlan.objects.create(pk=uuid.uuid4(), billing_interval=interval).pk)
    linked = subscription(boss.user.tenant, end_date=None, issue_date=begun, plan_id=plan)
    licence = make_licence(boss.user.tenant, linked_subscription=linked)
    read = boss("GET", f"/api/licenses/{licence.pk}").json()
    assert (read["issued_at"], read["validity_days"]) == ("2026-02-03T00:00:00Z", days)


def test_a_template_is_asked_of_legacy(boss: Caller, upstream: Upstream) -> None:
    body = {"tenant_id": str(boss.user.tenant_id), "payload": {}, "template_id": str(uuid.uuid4())}
    upstream.say(404, {"detail": "Template not found"})
    assert detail(boss("POST", "/api/licenses", body)) == (404, "Template not found")
    upstream.say(200, {})
    assert boss("POST", "/api/licenses", body).status_code == 200
    assert [seen[1] for seen in upstream.seen] == [f"/api/templates/{body['template_id']}"] * 2


NOW = datetime.now(UTC)
INACTIVE = {"valid": False, "error": "License is inactive"}
VALIDATIONS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = {
    "active, end ahead": ({}, {}, {"valid": True}),
    "active, end past": (
        {},
        {"end_date": datetime(2026, 1, 2, tzinfo=UTC)},
        {"valid": False, "error": "License has expired", "details": "Expired on 2026-01-02"},
    ),
    "canceled": ({}, {"status": "canceled"}, INACTIVE | {"details": "Linked subscription is canceled"}),
    "past due": ({}, {"status": "past_due"}, INACTIVE | {"details": "Linked subscription is past_due"}),
    "trialing": ({}, {"status": "trialing"}, INACTIVE | {"details": "Linked subscription is trialing"}),
    "active, no end": ({}, {"end_date": None}, {"valid": True}),
    "unknown subscription": (
        {"linked_subscription": str(uuid.uuid4())},
        None,
        INACTIVE | {"details": "Linked subscription is unknown"},
    ),
    "no subscription": ({"issued_at": NOW, "validity_days": 1}, None, {"valid": True}),
    "no subscription, past": (
        {"issued_at": datetime(2026, 1, 1, tzinfo=UTC), "validity_days": 1},
        None,
        {"valid": False, "error": "License has expired", "details": "Expired on 2026-01-02"},
    ),
}


@pytest.mark.parametrize("case", VALIDATIONS)
def test_a_licence_is_worth_what_its_subscription_is(boss: Caller, case: str) -> None:
    values, linked, expected = VALIDATIONS[case]
    if linked is not None:
        values = values | {"linked_subscription": subscription(boss.user.tenant, **linked)}
    licence = make_licence(boss.user.tenant, license_key=f"K/{uuid.uuid4()}", **values)
    answer = boss.client.get(f"/api/licenses/validate/{licence.license_key}")
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in expected} == expected


def test_a_valid_licence_is_shown_with_its_key_cut(boss: Caller) -> None:
    licence = make_licence(boss.user.tenant, license_key="k" * 60, linked_subscription=subscription(boss.user.tenant))
    body = boss.client.get(f"/api/licenses/validate/{licence.license_key}").json()
    assert list(body) == ["valid", "license", "message"] and body["message"] == "License is valid and active"
    assert list(body["license"]) == [
        "id",
        "license_key",
        "tenant_id",
        "template_id",
        "linked_subscription",
        "issued_at",
        "validity_days",
        "expires_at",
        "payload",
    ]
    assert body["license"]["license_key"] == "k" * 50 + "..." and body["license"]["validity_days"] == 60


def test_a_licence_of_an_inactive_tenant_is_not_good_whatever_its_subscription(boss: Caller) -> None:
    licence = make_licence(boss.user.tenant, linked_subscription=subscription(boss.user.tenant, status="canceled"))
    Tenant.objects.filter(pk=boss.user.tenant_id).update(is_active=False)
    body = boss.client.get(f"/api/licenses/validate/{licence.license_key}").json()
    assert body == INACTIVE | {"details": "Associated tenant is inactive or not found"}


def test_what_cannot_be_judged_here_is_asked_of_legacy(boss: Caller, upstream: Upstream) -> None:
    linked = {"linked_subscription": str(uuid.uuid4())}
    asked, refused = (
        make_licence(boss.user.tenant, license_key="A", **linked),
        make_licence(boss.user.tenant, license_key="A/B", **linked),
    )
    upstream.say(200, {"valid": True, "from": "legacy"})
    assert boss.client.get(f"/api/licenses/validate/{asked.license_key}").json() == {"valid": True, "from": "legacy"}
    # Legacy would say 404 to this one, whatever it is worth.
    assert boss.client.get(f"/api/licenses/validate/{refused.license_key}").json()["valid"] is False


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_time_that_a_zone_could_push_out_of_the_calendar_is_refused(boss: Caller, year: str) -> None:
    body = {"tenant_id": str(boss.user.tenant_id), "payload": {}, "issued_at": f"{year}-06-01T00:00:00Z"}
    assert kinds(boss("POST", "/api/licenses", body)) == [("datetime_range", ["body", "issued_at"])]
