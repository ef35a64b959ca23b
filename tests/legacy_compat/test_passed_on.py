"""What legacy goes on to answer: everything before a tenant moves, and after it what its data is about that does not move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flags.models import TenantHome
from legacy_compat import proxy
from legacy_compat.surface import PASSED_ON
from tests.legacy_compat.conftest import Old
from tests.legacy_compat.released_service import RECORDED, Recorded, ReleasedService
from tests.legacy_compat.served.conftest import credentials
from tests.world import World

TOLD = {
    "deprecation",
    "link",
    "sunset",
    "x-request-id",
    "content-security-policy",
    "x-content-type-options",
    "content-length",
}


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture
def service(old: Old, settings: Any) -> Iterator[ReleasedService]:
    made = ReleasedService()
    settings.LEGACY_CONTRACT, settings.LEGACY_UPSTREAM_URL = "observed", made.url
    yield made
    made.server.shutdown()
    proxy._succeeded()


@pytest.mark.parametrize("recorded", RECORDED, ids=str)
def test_an_answer_of_legacys_comes_through_as_it_was(
    old: Old, service: ReleasedService, settings: Any, recorded: Recorded
) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    service.recorded = recorded
    answer = old.client.generic(recorded.method, recorded.path, b"", headers={"Authorization": "Bearer x"})
    assert answer.status_code == recorded.status
    assert answer.content == (b"" if recorded.status == 204 else recorded.content)
    theirs = {"Content-Type": "text/plain; charset=utf-8" if recorded.text else "application/json", **recorded.headers}
    assert {name: answer.headers[name] for name in theirs} == theirs
    assert {name.lower() for name in answer.headers} - {name.lower() for name in theirs} <= TOLD
    assert service.seen == [(recorded.method, recorded.path, "Bearer x", b"")]


@pytest.mark.parametrize("endpoint", sorted(PASSED_ON), ids=lambda each: each.name)
def test_what_does_not_move_goes_on_to_legacy_for_a_tenant_that_has(
    old: Old, service: ReleasedService, endpoint: Any
) -> None:
    service.recorded = Recorded(endpoint.method, endpoint.path, 200, {"from": "legacy"})
    token = old.client.post("/api/auth/login", credentials(old.user)).json()["access_token"]
    path = f"/api/{endpoint.path}".replace("{id}", str(old.tenant.pk))
    headers = {"Authorization": f"Bearer {token}"}
    answer = old.client.generic(endpoint.method, path, b"{}", content_type="application/json", headers=headers)
    assert answer.json() == {"from": "legacy"}
    assert service.seen == [(endpoint.method, path, f"Bearer {token}", b"{}")]


def test_what_nobody_here_knows_goes_on_to_legacy_too(old: Old, service: ReleasedService) -> None:
    service.recorded = Recorded("GET", "/api/reports", 200, {"from": "legacy"})
    token = old.client.post("/api/auth/login", credentials(old.user)).json()["access_token"]
    assert old.get("/api/reports", token).json() == {"from": "legacy"}


def test_who_may_not_come_in_here_does_not_get_through_to_legacy(old: Old, service: ReleasedService) -> None:
    token = old.client.post("/api/auth/login", credentials(old.user)).json()["access_token"]
    old.post("/api/auth/logout", token)
    answer = old.get("/api/products", token)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Could not validate credentials"})
    other = old.client.post("/api/auth/login", credentials(old.user)).json()["access_token"]
    type(old.user).objects.filter(pk=old.user.pk).update(is_active=False)
    for path in ("products", "licenses/validate-file"):
        answer = old.client.post(f"/api/{path}", {}, headers={"Authorization": f"Bearer {other}"})
        assert (answer.status_code, answer.json()) == (400, {"detail": "Inactive user"})
    assert service.seen == []


def test_without_a_legacy_system_there_is_no_such_page(old: Old, settings: Any) -> None:
    settings.LEGACY_CONTRACT = "observed"
    token = old.client.post("/api/auth/login", credentials(old.user)).json()["access_token"]
    answer = old.get("/api/products", token)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("home", ["legacy", "iam"])
@pytest.mark.parametrize(
    "path", ["v1/roles/", "v1/roles/00000000-0000-4000-8000-000000000001", "v1/sessions/", "v1/applications/"]
)
def test_addresses_that_both_apis_have_are_legacys_for_its_tokens(
    old: Old, service: ReleasedService, home: str, path: str
) -> None:
    token = old.client.post("/api/auth/login", credentials(old.user)).json()["access_token"]
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home=home)
    service.recorded = Recorded("GET", path, 200, {"from": "legacy"})
    answer = old.get(f"/api/{path}", token)
    assert (answer.json() == {"from": "legacy"}) is (home == "legacy")
    assert "problem" not in answer["Content-Type"]


def test_the_new_api_keeps_its_addresses_for_its_own_tokens(old: Old, service: ReleasedService) -> None:
    body = {"username": old.user.username, "password": "correct horse"}
    pair = old.client.post("/api/v1/auth/login", body, content_type="application/json").json()
    assert "items" in old.get("/api/v1/roles", pair["access_token"]).json()
    assert "problem" in old.get("/api/v1/roles/x/y", pair["access_token"])["Content-Type"]
    assert service.seen == []
