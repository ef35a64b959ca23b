"""Lock-outs: however a user is named, one count for all doors; nobody can lock a user out of where they sign in."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from iam import throttles
from iam.models import User
from iam.throttles import FAILURES, network
from tests.iam.conftest import Api, uid
from tests.legacy_compat.conftest import PASSWORD, make_tenant, make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.fixture(autouse=True)
def nothing_counted(world: World) -> None:
    throttles._limiter().storage.reset()


Door = Callable[[Api, str, str, str, str], int]
"""(api, name, password, tenant, ip) → status; 2xx or 3xx when it signed in."""


def new_door(api: Api, name: str, password: str, tenant: str, ip: str) -> int:
    body: dict[str, Any] = {"username": name, "password": password} | ({"tenant_id": tenant} if tenant else {})
    answer = api.client.post("/api/v1/auth/login", body, "application/json", REMOTE_ADDR=ip)
    return int(answer.status_code)


def old_door(api: Api, name: str, password: str, tenant: str, ip: str) -> int:
    body = {"username": name, "password": password, "tenant_id": tenant}
    return int(api.client.post("/api/auth/login", body, REMOTE_ADDR=ip).status_code)


def browser(api: Api, name: str, password: str, tenant: str, ip: str) -> int:
    body = {"username": name, "password": password, "tenant": tenant}
    return int(api.client.post("/oauth/sign-in", body, REMOTE_ADDR=ip).status_code)


DOORS: dict[str, Door] = {"new": new_door, "old": old_door, "browser": browser}
NAMES: dict[str, Callable[[User], str]] = {"user name": lambda u: u.username or "", "e-mail": lambda u: u.email or ""}
TENANTS: dict[str, Callable[[uuid.UUID], str]] = {
    "none": lambda id: "", "plain": str, "upper case": lambda id: str(id).upper(), "braces": lambda id: f"{{{id}}}",
    "urn": lambda id: f"urn:uuid:{id}", "no hyphens": lambda id: id.hex, "spaces": lambda id: f" {id} ",
}  # fmt: skip
SPELLINGS = [
    (door, name, tenant) for door in DOORS for name in NAMES for tenant in TENANTS
    if (door, tenant) != ("new", "spaces")  # its schema takes no spaces
]  # fmt: skip


@pytest.mark.parametrize(("door", "name", "tenant"), SPELLINGS)
def test_every_way_to_name_a_user_is_one_count(api: Api, door: str, name: str, tenant: str) -> None:
    user = make_user(api.tenant)
    for _ in range(FAILURES):
        throttles.failed([str(user.pk)], "192.0.2.1")
    spelled = DOORS[door], NAMES[name](user), TENANTS[tenant](api.tenant.pk)
    assert spelled[0](api, spelled[1], PASSWORD, spelled[2], "192.0.2.1") == 401
    assert spelled[0](api, spelled[1], PASSWORD, spelled[2], "192.0.2.2") < 400  # from elsewhere it goes on


@pytest.mark.parametrize(("door", "name", "tenant"), SPELLINGS)
def test_a_failure_in_any_spelling_counts(api: Api, door: str, name: str, tenant: str) -> None:
    user = make_user(api.tenant)
    for _ in range(FAILURES - 1):
        throttles.failed([str(user.pk)], "192.0.2.1")
    assert DOORS[door](api, NAMES[name](user), "wrong", TENANTS[tenant](api.tenant.pk), "192.0.2.1") == 401
    assert throttles.locked(str(user.pk), "192.0.2.1")


def test_the_observed_profile_counts_too(api: Api, settings: Any) -> None:
    settings.LEGACY_CONTRACT = "observed"
    user = make_user(api.tenant)
    for ending in range(FAILURES):
        sent = base64.b64encode(f"{user.username}:no".encode()).decode() + "\n" * (ending % 2)
        fields = {"credentials": sent, "tenant_id": str(api.tenant.pk).upper()}
        assert api.client.post("/api/auth/login", fields).status_code == 401
    assert throttles.locked(str(user.pk), "127.0.0.1")


def test_a_stranger_cannot_lock_a_user_out_of_where_they_sign_in(api: Api) -> None:
    user = make_user(api.tenant)
    assert new_door(api, user.username or "", PASSWORD, "", "198.51.100.7") == 200
    for number in range(throttles.ELSEWHERE):
        throttles.failed([str(user.pk)], f"192.0.2.{number}")
    assert new_door(api, user.username or "", PASSWORD, "", "203.0.113.9") == 401
    assert new_door(api, user.username or "", PASSWORD, "", "198.51.100.7") == 200


def test_a_locked_user_keeps_the_sessions_they_have(api: Api) -> None:
    for _ in range(FAILURES):
        throttles.failed([str(api.admin.pk)], "127.0.0.1")
    assert api.login().status_code == 401
    assert api.call("GET", "/me").status_code == 200


def test_names_that_nobody_has_count_by_network_and_spare_who_is_known_there(api: Api) -> None:
    known, other = make_user(api.tenant), make_user(api.tenant)
    assert new_door(api, known.username or "", PASSWORD, "", "2001:db8::1") == 200
    for _ in range(throttles.UNKNOWN):
        throttles.failed([], "2001:db8::2")
    assert new_door(api, uid(), "x", "", "2001:db8::2") == 401
    assert new_door(api, other.username or "", PASSWORD, "", "2001:db8::3") == 401
    assert new_door(api, known.username or "", PASSWORD, "", "2001:db8::4") == 200
    assert new_door(api, other.username or "", PASSWORD, "", "2001:db8:0:1::1") == 200


def test_a_failure_with_a_name_in_two_tenants_counts_for_both(api: Api) -> None:
    user = make_user(api.tenant)
    twin = make_user(make_tenant(), username=user.username)
    for _ in range(FAILURES):
        throttles.failed([str(twin.pk)], "127.0.0.1")
    assert api.login(user, tenant_id=str(api.tenant.pk)).status_code == 200
    assert new_door(api, user.username or "", "wrong", "", "192.0.2.44") == 401
    for pk in (user.pk, twin.pk):
        key = throttles._digest(str(pk), "192.0.2.44")
        assert throttles._limiter().get_window_stats(throttles._HERE, "sign-in", key).remaining == FAILURES - 1


def test_keys_are_bounded_whatever_is_sent(api: Api) -> None:
    before = len(list(throttles._redis(api_redis()).scan_iter("LIMITS*")))
    for _ in range(5):
        assert new_door(api, uid() * 20, "x", "", "192.0.2.9") == 401
    keys = list(throttles._redis(api_redis()).scan_iter("LIMITS*"))
    assert len(keys) <= before + 1 and max(map(len, keys)) < 120


def api_redis() -> str:
    from django.conf import settings

    return str(settings.REDIS_URL)


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:DB8:1:2::", "2001:db8:1:2::"), ("fe80::1%eth0", "fe80::"), ("nonsense", ""),
    ],
)  # fmt: skip
def test_a_network_is_what_one_customer_has(address: str, whose: str) -> None:
    assert network(address) == whose


def test_an_account_that_is_locked_in_the_database_is_refused(api: Api) -> None:
    from datetime import timedelta

    from django.utils import timezone

    User.objects.filter(pk=api.admin.pk).update(account_locked_until=timezone.now() + timedelta(hours=1))
    assert api.login().status_code == 401
    User.objects.filter(pk=api.admin.pk).update(account_locked_until=timezone.now() - timedelta(hours=1))
    assert api.login().status_code == 200
