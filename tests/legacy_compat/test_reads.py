"""Reads first: which reads of a tenant in legacy the IAM answers, and which legacy does. The stand-in for legacy answers 207."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import OctKey

from flags import reads
from flags.models import CaughtUp, TenantHome
from iam.models import User
from legacy_compat import iam_away
from legacy_compat import reads as door
from tests.legacy_compat.conftest import Old, make_user
from tests.legacy_compat.upstream import Upstream
from tests.world import World

FROM_LEGACY = 207


def caught_up(seconds_ago: float = 0.0, *tenants: str) -> None:
    """As catch-up says so, of these tenants or of all."""
    reads.caught_up(timezone.now() - timedelta(seconds=seconds_ago), tenants or in_all())


def in_all() -> list[str]:
    return list(TenantHome.objects.values_list("pk", flat=True))


@pytest.fixture
def token(old: Old, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a user of a tenant that lives in legacy and reads first; what was known of other tests is forgotten."""
    token = str(old.login().json()["access_token"])
    since = timezone.now() - timedelta(minutes=1)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy", reads_since=since)
    monkeypatch.setattr(reads, "_known", reads._Known())
    for name in ("READS", "REVOCATIONS"):
        monkeypatch.setattr(iam_away, name, iam_away.Rest())
    door._redis(settings.REDIS_URL).set(door._ALIVE, 0)
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


def test_legacy_answers_for_a_tenant_of_which_catch_up_did_not_say_so(old: Old, token: str) -> None:
    caught_up(0, "11111111-1111-1111-1111-111111111111")
    assert me(old, token) == FROM_LEGACY
    caught_up(0, str(old.tenant.pk))
    assert me(old, token) == 200


def test_legacy_answers_while_what_was_said_is_of_a_time_to_come(old: Old, token: str) -> None:
    caught_up(-60)
    assert me(old, token) == FROM_LEGACY


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
    "path",
    [
        "/api/auth/users/11111111-1111-1111-1111-111111111111",
        "/api/auth/v1/social",
        "/api/nothing",
        "/api/auth/users",
        "/api/tenants",
        "/api/licenses",
        "/api/health",
        "/api/v1/sessions/",
    ],
)
def test_what_the_iam_cannot_answer_well_legacy_answers(old: Old, token: str, path: str) -> None:
    assert old.get(path, token).status_code == FROM_LEGACY


@pytest.mark.parametrize(
    "broken", [ValueError("odd"), OperationalError("gone"), UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "no")]
)
def test_whatever_keeps_the_iam_from_answering_legacy_answers(
    old: Old, token: str, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise broken

    monkeypatch.setattr(door.serve, "answer", fail)
    assert me(old, token) == FROM_LEGACY


def test_an_iam_that_is_locked_is_waited_for_a_second_and_then_left_alone(old: Old, token: str, world: World) -> None:
    with world.iam() as iam:
        iam.execute("BEGIN")
        iam.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert (me(old, token), me(old, token)) == (FROM_LEGACY, FROM_LEGACY)
        assert time.monotonic() - began < 2.5
        assert iam_away.READS.now and not iam_away.REVOCATIONS.now  # tokens that were ended are refused all the while
        iam.execute("ROLLBACK")


def test_nothing_is_written_while_a_read_is_answered(old: Old, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> None:
        User.objects.update(bio="written")

    monkeypatch.setattr(door.serve, "answer", write)
    assert me(old, token) == FROM_LEGACY
    assert not User.objects.filter(bio="written").exists()


def test_a_write_is_answered_whatever_becomes_of_its_mark(
    old: Old, token: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(reads, "begin_again", away)
    assert old.post("/api/auth/logout", token).status_code == FROM_LEGACY


def test_a_redis_that_was_emptied_knows_of_no_write_before(old: Old, token: str, settings: Any) -> None:
    door._redis(settings.REDIS_URL).delete(door._ALIVE)
    assert me(old, token) == FROM_LEGACY


def test_a_user_is_the_same_however_their_id_is_spelled(old: Old, token: str, settings: Any) -> None:
    def spelled(id: str) -> str:
        claims = {"sub": "x", "user_id": id, "tenant_id": str(old.tenant.pk), "exp": int(time.time()) + 900}
        return str(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(settings.LEGACY_JWT_SECRET)))

    id = str(old.user.pk)
    assert me(old, spelled(id)) == 200
    old.post("/api/auth/logout", spelled(id.upper()))
    assert me(old, spelled(id)) == FROM_LEGACY


def test_what_the_iam_answers_is_counted_here(old: Old, token: str, settings: Any) -> None:
    settings.OTHER_CALLS_A_MINUTE = 2
    place = f"/api/tenants/{old.tenant.pk}"
    assert [old.get(place, token).status_code for _ in range(3)] == [200, 200, 429]


def test_a_tenant_of_legacy_needs_no_iam(old: Old, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(iam_away.bearers, "revoked", away)
    for _ in range(2):
        assert old.get("/api/auth/users", token).status_code == FROM_LEGACY


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
