"""Shadow reads."""

from __future__ import annotations

from typing import Any

from legacy_compat import shadow
from legacy_compat.models import Mismatch, Shadowed
from tests.legacy_compat.conftest import Old, make_licence, make_user
from tests.legacy_compat.upstream import Upstream


def test_a_shadow_read_finds_the_field_that_differs(old: Old, upstream: Upstream, settings: Any) -> None:
    token = old.login().json()["access_token"]
    settings.SHADOW_SHARE, settings.LEGACY_SERVED_BY = 1.0, "legacy"
    mine = old.client.get
    settings.LEGACY_SERVED_BY = ""
    truth = old.get("/api/auth/me", token).json()
    settings.LEGACY_SERVED_BY = "legacy"
    upstream.say(200, truth | {"full_name": "Somebody Else"})
    assert mine("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).json()["full_name"] == "Somebody Else"
    shadow.background.join()
    found = Mismatch.objects.get()
    assert (found.endpoint, found.field, found.legacy, found.iam) == (
        "auth/me",
        "full_name",
        "Somebody Else",
        "O'Brien",
    )
    upstream.say(200, truth)
    old.get("/api/auth/me", token)
    shadow.background.join()
    assert (Shadowed.objects.get().compared, Shadowed.objects.get().alike) == (2, 1)


def test_a_time_written_another_way_is_no_difference() -> None:
    one, other = {"at": "2024-01-31T12:00:00Z"}, {"at": "2024-01-31T13:00:00+01:00"}
    assert list(shadow.differences(one, other)) == []
    assert list(shadow.differences([{"a": 1}], [{"a": 2}])) == [("[].a", 1, 2)]


def test_a_shadow_read_asks_for_the_same_page(old: Old, upstream: Upstream, settings: Any) -> None:
    token = old.login().json()["access_token"]
    make_user(old.tenant)
    page = "/api/auth/users?page=2&size=1"
    second = old.get(page, token).json()
    settings.SHADOW_SHARE, settings.LEGACY_SERVED_BY = 1.0, "legacy"
    upstream.say(200, second)
    old.get(page, token)
    shadow.background.join()
    assert (Shadowed.objects.get().compared, Shadowed.objects.get().alike) == (1, 1)


def test_no_secret_is_kept_however_deep_it_stands(old: Old, upstream: Upstream, settings: Any) -> None:
    token = old.login().json()["access_token"]
    truth = old.get("/api/auth/me", token).json()
    settings.SHADOW_SHARE, settings.LEGACY_SERVED_BY = 1.0, "legacy"
    hidden = {"refresh_token": "s3cret", "password_hash": "s3cret"}
    upstream.say(200, truth | {"session": hidden, "keys": [{"license_key": "s3cret"}], "access_token": "s3cret"})
    old.get("/api/auth/me", token)
    shadow.background.join()
    kept = {found.field: found.legacy for found in Mismatch.objects.all()}
    assert kept["access_token"] == "(secret)" and "(secret)" in kept["session"]
    assert not any("s3cret" in value for value in kept.values())


def test_fields_that_differ_are_named_by_their_path() -> None:
    assert list(shadow.differences({"a": {"b": 1}}, {"a": {"b": 2}})) == [("a.b", 1, 2)]
    assert list(shadow.differences({"a": [1, 2]}, {"a": [1]})) == [("a[] (how many)", 2, 1)]
    assert list(shadow.differences({"a": None}, {})) == []


def test_what_the_iam_does_not_answer_is_not_compared(old: Old, upstream: Upstream, settings: Any) -> None:
    token = old.login().json()["access_token"]
    linked = make_licence(old.tenant, linked_subscription="6b1f0c1e-8d0a-4c39-9a51-0d7f6d3b7a10")
    settings.SHADOW_SHARE, settings.LEGACY_SERVED_BY = 1.0, "legacy"
    for path in ("/api/products", "/api/nothing", f"/api/licenses/validate/{linked.license_key}", "/api/auth/me"):
        old.get(path, token)
    shadow.background.join()
    assert [row.endpoint for row in Shadowed.objects.all()] == ["auth/me"]
