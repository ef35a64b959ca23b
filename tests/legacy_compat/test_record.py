"""What is recorded of legacy requests, by version and client; and what clients of the old version are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from legacy_compat import record, shadow
from legacy_compat.behind import Behind
from legacy_compat.models import LegacyRequest, Mismatch, Shadowed, Usage
from tests import builders
from tests.legacy_compat.conftest import PASSWORD, Old, make_user
from tests.legacy_compat.test_routing import Upstream, upstream  # noqa: F401 - a fixture


def requests() -> list[LegacyRequest]:
    record.behind.join()
    return list(LegacyRequest.objects.order_by("at"))


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


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"Accept": "application/vnd.sigma.v2.0+json"}},
        {"headers": {"Accept": "text/html, application/json; version=v2.0"}},
        {"query_params": {"version": "2.0"}},
    ],
)
def test_a_legacy_path_with_the_new_version_is_answered_by_the_new_api(old: Old, asked: dict[str, Any]) -> None:
    token = old.login().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"} | asked.get("headers", {})
    answer = old.client.get("/api/auth/me", headers=headers, query_params=asked.get("query_params"))
    assert answer.status_code == 200 and "mfa_enabled" in answer.json()
    assert "Deprecation" not in answer


@pytest.mark.parametrize(
    "accept", ["application/json; note=not-v2.0-at-all", "application/vnd.sigma.v2.01+json", "v2.0"]
)
def test_versions_are_compared_exactly(old: Old, accept: str) -> None:
    token = old.login().json()["access_token"]
    answer = old.client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}", "Accept": accept})
    assert "mfa_enabled" not in answer.json()


def test_clients_of_the_old_version_are_told_when_it_ends_and_what_follows(old: Old, settings: Any) -> None:
    settings.LEGACY_SUNSET = "2027-06-30"
    answer = old.login()
    assert answer["Deprecation"] == "@1767139200"
    assert answer["Sunset"] == "Wed, 30 Jun 2027 00:00:00 GMT"
    assert answer["Link"].endswith('/api/v1/auth/login>; rel="successor-version"')


def test_a_shadow_read_finds_the_field_that_differs(old: Old, upstream: Upstream, settings: Any) -> None:  # noqa: F811
    token = old.login().json()["access_token"]
    settings.SHADOW_SHARE, settings.LEGACY_SERVED_BY = 1.0, "legacy"
    mine = old.client.get
    settings.LEGACY_SERVED_BY = ""
    truth = old.get("/api/auth/me", token).json()
    settings.LEGACY_SERVED_BY = "legacy"
    upstream.say(200, truth | {"full_name": "Somebody Else"})
    assert mine("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).json()["full_name"] == "Somebody Else"
    shadow.behind.join()
    found = Mismatch.objects.get()
    assert (found.endpoint, found.field, found.legacy, found.iam) == (
        "auth/me",
        "full_name",
        "Somebody Else",
        "O'Brien",
    )
    upstream.say(200, truth)
    old.get("/api/auth/me", token)
    shadow.behind.join()
    assert (Shadowed.objects.get().compared, Shadowed.objects.get().alike) == (2, 1)


def test_a_time_written_another_way_is_no_difference() -> None:
    one, other = {"at": "2024-01-31T12:00:00Z"}, {"at": "2024-01-31T13:00:00+01:00"}
    assert list(shadow.differences(one, other)) == []
    assert list(shadow.differences([{"a": 1}], [{"a": 2}])) == [("[].a", 1, 2)]


def test_a_mismatch_is_ignored_with_a_reason_until_it_is_open_again(old: Old) -> None:
    found = Mismatch.objects.create(endpoint="auth/me", field="bio", count=1)
    builders.member("operator", username="otto")
    old.client.login(username="otto", password="secret-pass-1")
    url = f"/admin/legacy_compat/mismatch/{found.pk}/ignore/"
    old.client.post(url, {"days": "7"})
    found.refresh_from_db()
    assert found.open
    old.client.post(url, {"days": "7", "reason": "known"})
    found.refresh_from_db()
    assert not found.open and (found.decided_by, found.reason) == ("otto", "known")


def test_the_screens_are_for_those_who_may(old: Old) -> None:
    old.login()
    assert len(requests()) == 1
    Mismatch.objects.create(endpoint="auth/me", field="bio", count=1)
    pages = (
        "legacyrequest/board/", "legacyrequest/board/live/", f"legacyrequest/?q={requests()[0].request_id}", "mismatch/",
        f"mismatch/{Mismatch.objects.get().pk}/change/",
    )  # fmt: skip
    builders.member("viewer", username="vera")
    old.client.login(username="vera", password="secret-pass-1")
    for page in pages:
        assert old.client.get(f"/admin/legacy_compat/{page}").status_code == 200, page
    assert old.client.post(f"/admin/legacy_compat/mismatch/{Mismatch.objects.get().pk}/ignore/").status_code == 403
    builders.member(username="nobody")
    old.client.login(username="nobody", password="secret-pass-1")
    for page in pages:
        assert old.client.get(f"/admin/legacy_compat/{page}").status_code == 403, page


def test_one_user_is_read_and_deleted_but_not_oneself(old: Old) -> None:
    token, other = old.login().json()["access_token"], make_user(old.tenant)
    assert old.get(f"/api/auth/users/{other.pk}", token).json()["username"] == other.username
    headers = {"Authorization": f"Bearer {token}"}
    assert old.client.delete(f"/api/auth/users/{other.pk}", headers=headers).status_code == 200
    gone = old.get(f"/api/auth/users/{other.pk}", token)
    assert (gone.status_code, gone.json()) == (404, {"detail": "User not found"})
    own = old.client.delete(f"/api/auth/users/{old.user.pk}", headers=headers)
    assert (own.status_code, own.json()) == (400, {"detail": "Cannot delete your own account"})


def test_tenants_are_made_with_a_slug_of_their_own(old: Old) -> None:
    token = old.login().json()["access_token"]
    made = old.post("/api/tenants", token, name="New", slug="new")
    assert made.status_code == 201 and made.json()["slug"] == "new"
    again = old.post("/api/tenants", token, name="New", slug="new")
    assert (again.status_code, again.json()) == (400, {"detail": "Tenant slug already exists"})
    assert old.get(f"/api/tenants/{made.json()['id']}", token).status_code == 404  # not the caller's own
    bad = old.get("/api/tenants/x", token)
    assert bad.status_code == 422 and bad.json()["detail"][0]["type"] == "uuid_parsing"


def test_licences_are_listed_in_pages(old: Old) -> None:
    from tests.legacy_compat.conftest import make_licence

    make_licence(old.tenant)
    token = old.login().json()["access_token"]
    found = old.get("/api/licenses", token).json()
    assert (found["total"], found["page"], found["pages"]) == (1, 1, 1)
    assert old.get("/api/licenses", token, size="500").json()["detail"][0]["type"] == "less_than_equal"


def test_a_failure_behind_a_request_does_not_end_what_comes_after() -> None:
    done: list[int] = []

    def do(items: Sequence[int]) -> None:
        if 1 in items:
            raise RuntimeError("of this one only")
        done.extend(items)

    made = Behind("test", do, most=2, pause=0.0)
    for number in (1, 2):
        made.put(number)
        made.join()
    assert done == [2]
