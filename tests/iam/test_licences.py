"""Is a licence good?"""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from iam.models import License, Subscription
from tests.iam.conftest import Api
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


def test_licences_are_issued_up_to_the_limit_judged_and_revoked(api: Api) -> None:
    api.tenant.max_licenses = 1
    api.tenant.save()
    made = api.call("POST", "/licenses", validity_days=30).json()
    assert api.call("POST", "/licenses", validity_days=30).status_code == 409
    verdict = api.call("POST", "/licenses/validate", "", license_key=made["license_key"]).json()
    assert verdict["valid"] and verdict["license"]["id"] == made["id"]
    assert api.call("DELETE", f"/licenses/{made['id']}").status_code == 204
    assert not License.objects.exists()
    gone = api.call("POST", "/licenses/validate", "", license_key=made["license_key"]).json()
    assert (gone["valid"], gone["reason"]) == (False, "unknown")


@pytest.mark.parametrize(("status", "verdict"), [("active", (True, "")), ("canceled", (False, "subscription"))])
def test_a_linked_licence_is_as_good_as_its_subscription(api: Api, status: str, verdict: tuple[bool, str]) -> None:
    now = timezone.now()
    dates = {"issue_date": now, "end_date": now + timedelta(days=60), "plan_id": None}
    linked = Subscription.objects.create(tenant_id=api.tenant.pk, status=status, **dates)
    made = api.call("POST", "/licenses", linked_subscription=str(linked.pk)).json()
    found = api.call("POST", "/licenses/validate", "", license_key=made["license_key"]).json()
    assert (found["valid"], found["reason"]) == verdict


@pytest.mark.parametrize(("length", "status"), [(7, 422), (8, 201), (2000, 201), (2001, 422)])
def test_a_key_of_ones_own_has_8_to_2000_characters(api: Api, length: int, status: int) -> None:
    key = uuid.uuid4().hex[: min(length, 32)].ljust(length, "k")
    assert api.call("POST", "/licenses", license_key=key, validity_days=30).status_code == status
