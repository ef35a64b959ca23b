"""Reads first: which reads of a tenant in legacy the IAM answers, and which legacy does. The stand-in for legacy answers 207."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from flags import reads
from flags.models import CaughtUp, TenantHome
from tests.legacy_compat.conftest import Old, make_user
from tests.legacy_compat.upstream import Upstream

FROM_LEGACY = 207


def caught_up(seconds_ago: float = 0.0, *behind: str) -> None:
    reads.caught_up(timezone.now() - timedelta(seconds=seconds_ago), list(behind))


@pytest.fixture
def token(old: Old, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a user of a tenant that lives in legacy and reads first; what was known of other tests is forgotten."""
    token = str(old.login().json()["access_token"])
    since = timezone.now() - timedelta(minutes=1)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy", reads_since=since)
    monkeypatch.setattr(reads, "_known", reads._Known())
    caught_up()
    return token


def me(old: Old, token: str) -> int:
    return int(old.get("/api/auth/me", token).status_code)


def test_the_iam_answers_while_it_has_all_that_was_written(old: Old, token: str) -> None:
    assert old.get("/api/auth/me", token).json()["id"] == str(old.user.pk)


def test_legacy_answers_once_catch_up_has_not_said_so_for_two_seconds(old: Old, token: str) -> None:
    caught_up(reads.FRESH_SECONDS + 0.5)
    assert me(old, token) == FROM_LEGACY


def test_legacy_answers_while_catch_up_has_said_nothing(old: Old, token: str) -> None:
    CaughtUp.objects.all().delete()
    assert me(old, token) == FROM_LEGACY


def test_legacy_answers_for_a_tenant_that_is_behind(old: Old, token: str) -> None:
    caught_up(0, str(old.tenant.pk))
    assert me(old, token) == FROM_LEGACY
    caught_up(0, "11111111-1111-1111-1111-111111111111")
    assert me(old, token) == 200


def test_legacy_answers_until_every_process_marks_writes(old: Old, token: str) -> None:
    TenantHome.objects.update(reads_since=Now())
    assert me(old, token) == FROM_LEGACY


def test_legacy_answers_every_write(old: Old, token: str, upstream: Upstream) -> None:
    sent = old.client.put(
        f"/api/auth/users/{old.user.pk}",
        {"full_name": "New"},
        "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (sent.status_code, upstream.seen[-1][0]) == (FROM_LEGACY, "PUT")


def test_who_has_just_written_is_answered_by_legacy_and_nobody_else_is(old: Old, token: str) -> None:
    other = make_user(old.tenant)
    theirs = old.post("/api/auth/login", username=other.username, password="x")
    assert theirs.status_code == FROM_LEGACY  # the sign-in of another user is no write of ours
    assert me(old, token) == 200
    assert old.post("/api/auth/logout", token).status_code == FROM_LEGACY
    assert me(old, token) == FROM_LEGACY
    time.sleep(reads.FRESH_SECONDS + 0.6)
    caught_up()
    assert me(old, token) == 200


@pytest.mark.parametrize(
    "path", ["/api/auth/users/11111111-1111-1111-1111-111111111111", "/api/auth/v1/social", "/api/nothing"]
)
def test_what_the_iam_cannot_answer_well_legacy_answers(old: Old, token: str, path: str) -> None:
    assert old.get(path, token).status_code == FROM_LEGACY


def test_a_caller_whom_nobody_knows_is_legacys(old: Old, token: str) -> None:
    assert old.get("/api/auth/me").status_code == FROM_LEGACY


def test_the_kill_switch_overrules_it(old: Old, token: str, settings: Any) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    assert me(old, token) == FROM_LEGACY


def test_without_redis_legacy_answers_and_a_write_begins_the_wait_again(old: Old, token: str, settings: Any) -> None:
    settings.THROTTLES_WITHOUT_REDIS = "open"
    before = TenantHome.objects.get(pk=str(old.tenant.pk)).reads_since
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert me(old, token) == FROM_LEGACY
    old.post("/api/auth/logout", token)
    assert TenantHome.objects.get(pk=str(old.tenant.pk)).reads_since > before  # type: ignore[operator]


def test_the_request_log_says_that_the_iam_answered(old: Old, token: str) -> None:
    from legacy_compat import record
    from legacy_compat.models import LegacyRequest

    me(old, token)
    record.background.join()
    assert LegacyRequest.objects.latest("id").home == "iam"
