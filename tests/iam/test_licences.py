"""Is a licence good?"""

from __future__ import annotations

import pytest

from iam.models import License
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
