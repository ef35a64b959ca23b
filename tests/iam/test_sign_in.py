"""Signing in: the same cost and the same answer for every failure, one count for all doors."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
from django.utils import timezone

from flags.models import TenantHome
from iam import passwords, throttles
from iam.models import User
from tests.iam.conftest import Api, uid
from tests.legacy_compat.conftest import PASSWORD, make_user
from tests.world import World


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


@pytest.mark.parametrize("fields", [{"password": "wrong"}, {"username": "nobody"}])
def test_every_failure_gives_the_same_problem(api: Api, fields: dict[str, str]) -> None:
    answer = api.login(**fields)
    assert answer.status_code == 401 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "The user name, password or code is wrong."


def test_failures_of_every_kind_take_the_same_time(api: Api, real_cost: None, settings: Any) -> None:
    """Medians of the processor's time at a telling bcrypt cost: one hash more or less would be near a factor of two."""
    settings.BCRYPT_COST = 11
    costly = passwords.hashed("right")
    wrong, off = (make_user(api.tenant, hashed_password=costly, is_active=active) for active in (True, False))
    broken = make_user(api.tenant, hashed_password="{SHA}what-is-this")
    passwords.verify("x", None)  # the decoys are made once
    modern = make_user(api.tenant, hashed_password=passwords.hashed("right", final=True))

    def cost(user: User | None, password: str) -> float:
        taken = []
        for _ in range(3):
            begun = time.process_time()
            assert api.login(user, **({} if user else {"username": uid()}), password=password).status_code == 401
            taken.append(time.process_time() - begun)
        return statistics.median(taken)

    costs = [cost(who, said) for who, said in ((wrong, "x"), (off, "right"), (broken, "x"), (None, "x"), (modern, "x"))]
    assert max(costs) < 1.4 * min(costs), costs
    throttles._limiter().storage.reset()
    escaped = [cost(wrong, "a&b"), cost(None, "a&b")]  # tried twice, also as the released service stored it
    assert max(escaped) < 1.4 * min(escaped), escaped


def test_the_escaped_form_counts_only_for_hashes_that_legacy_made(api: Api) -> None:
    stored = passwords.hashed("a&amp;b")
    old, new = (make_user(api.tenant, hashed_password=stored, last_password_change=at) for at in (None, timezone.now()))
    assert api.login(old, password="a&b").status_code == 200
    assert api.login(new, password="a&b").status_code == 401


def test_too_many_failures_lock_the_name_at_both_doors(api: Api) -> None:
    for door in range(throttles.FAILURES):
        if door % 2:
            assert api.login(password="wrong").status_code == 401
        else:
            wrong = {"username": api.admin.username, "password": "wrong"}
            assert api.client.post("/api/auth/login", wrong).status_code == 401
    assert api.login().status_code == 401
    right = {"username": api.admin.username, "password": PASSWORD}
    assert api.client.post("/api/auth/login", right).status_code == 401


def test_calls_are_counted_across_doors(api: Api, settings: Any) -> None:
    settings.AUTH_CALLS_A_MINUTE = 4
    codes = [api.login().status_code for _ in range(2)]
    codes += [api.client.post("/api/auth/login", {"username": "x", "password": "y"}).status_code for _ in range(2)]
    assert codes == [200, 200, 401, 401]
    assert api.login().status_code == 429
    assert api.client.post("/api/auth/login", {"username": "x", "password": "y"}).status_code == 429


def test_the_hash_becomes_argon2id_once_the_tenant_is_final(api: Api) -> None:
    api.login()
    assert not User.objects.get(pk=api.admin.pk).hashed_password.startswith("$argon2id$")
    TenantHome.objects.filter(pk=str(api.tenant.pk)).update(final=True)
    api.login()
    assert User.objects.get(pk=api.admin.pk).hashed_password.startswith("$argon2id$")
    assert api.login().status_code == 200


def test_a_success_forgets_the_failures_before_it(api: Api) -> None:
    for _ in range(2):
        for _ in range(throttles.FAILURES - 1):
            assert api.login(password="wrong").status_code == 401
        assert api.login().status_code == 200
