"""Passing requests on to legacy, and what a client sees when it is unwell."""

from __future__ import annotations

import time
from typing import Any

import pytest

from legacy_compat import proxy
from tests.legacy_compat.conftest import PASSWORD, Old, make_tenant, make_user
from tests.legacy_compat.upstream import Upstream


def test_a_tenant_in_legacy_is_answered_by_legacy_unchanged(old: Old, upstream: Upstream) -> None:
    user = make_user(make_tenant("legacy"))
    answer = old.client.post(
        "/api/auth/login?x=1", {"username": user.username, "password": PASSWORD}, headers={"X-Mine": "kept"}
    )
    assert (answer.status_code, answer.content) == (207, b'{"from":"legacy"}')
    assert answer["Content-Type"] == "application/vnd.old+json" and answer["X-Old"] == "yes"
    method, path, headers, body = upstream.seen[0]
    assert (method, path, headers["X-Mine"]) == ("POST", "/api/auth/login?x=1", "kept")
    assert PASSWORD.encode() in body


@pytest.mark.parametrize(("behave", "status"), [("slow", 504), ("nonsense", 502), ("cut", 502)])
def test_an_unwell_upstream_is_a_clear_answer(old: Old, upstream: Upstream, behave: str, status: int) -> None:
    upstream.behave = behave
    user = make_user(make_tenant("legacy"))
    answer = old.login(username=user.username)
    assert answer.status_code == status and "legacy system" in answer.json()["detail"]


def test_a_dead_upstream_is_left_alone_for_a_moment(old: Old, upstream: Upstream) -> None:
    upstream.behave = "nonsense"
    user = make_user(make_tenant("legacy"))
    for _ in range(7):
        assert old.login(username=user.username).status_code == 502
    assert len(upstream.seen) == 5


def test_long_bodies_are_passed_on_both_ways_as_they_come(old: Old, upstream: Upstream, settings: Any) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    settings.LEGACY_UPSTREAM_SECONDS = 5
    upstream.body = b"x" * 3_000_000
    answer = old.client.post("/api/import", b"y" * 4_000_000, content_type="application/octet-stream")
    assert answer.streaming and b"".join(answer.streaming_content) == upstream.body
    assert upstream.seen[0][3] == b"y" * 4_000_000


def test_failures_count_only_in_a_row(old: Old, upstream: Upstream) -> None:
    user = make_user(make_tenant("legacy"))
    for behave in (["nonsense"] * 4 + [""]) * 2:
        upstream.behave = behave
        assert old.login(username=user.username).status_code == (502 if behave else 207)
    assert len(upstream.seen) == 10


def test_a_dead_upstream_is_asked_again_after_a_moment(
    old: Old, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "_REST_SECONDS", 0.3)
    user = make_user(make_tenant("legacy"))
    upstream.behave = "nonsense"
    for _ in range(6):
        old.login(username=user.username)
    upstream.behave = ""
    assert old.login(username=user.username).status_code == 502
    time.sleep(0.35)
    assert old.login(username=user.username).status_code == 207
