"""What is recorded of legacy requests, by version and client; and what clients of the old version are told."""

from __future__ import annotations

from typing import Any

from legacy_compat import record
from legacy_compat.models import Usage
from tests.legacy_compat.conftest import PASSWORD, Old
from tests.legacy_compat.recorded import requests


def test_a_request_is_recorded_with_who_and_how_long_and_without_secrets(old: Old) -> None:
    token = old.login().json()["access_token"]
    old.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}", "X-Client-Id": "field-app"})
    assert len(requests()) == 2
    login, me = requests()
    assert (login.endpoint, login.user, login.tenant) == ("auth/login", str(old.user.pk), str(old.tenant.pk))
    assert (me.client, me.status, me.home, me.version) == ("field-app", 200, "iam", "v1.0") and me.request_id
    stored = str([vars(made) for made in requests()])
    assert PASSWORD not in stored and token not in stored


def test_usage_adds_up_by_client_and_version(old: Old) -> None:
    token = old.login().json()["access_token"]
    for version in ("", "", "2.0"):
        old.client.get(
            f"/api/auth/me?version={version}", headers={"Authorization": f"Bearer {token}", "X-Client-Id": "a"}
        )
    assert len(requests()) == 4
    found = Usage.objects.filter(client="a").values_list("version", "calls")
    assert dict(found) == {"v1.0": 2, "v2.0": 1}


def test_keys_in_paths_are_not_part_of_the_endpoint(old: Old) -> None:
    old.get("/api/licenses/validate/some/secret/key")
    assert len(requests()) == 1
    assert requests()[0].endpoint == "licenses/validate/…"


def test_old_requests_are_forgotten_and_their_usage_stays(old: Old, settings: Any) -> None:
    old.login()
    assert len(requests()) == 1
    settings.LEGACY_LOG_DAYS = 0
    assert record.forget_old() == 1 and Usage.objects.count() == 1
