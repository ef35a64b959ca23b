"""Passing requests on to legacy, and what a client sees when it is unwell."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote

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
    monkeypatch.setattr(proxy, "_REST_SECONDS", 60)
    user = make_user(make_tenant("legacy"))
    upstream.behave = "nonsense"
    for _ in range(6):
        old.login(username=user.username)
    upstream.behave = ""
    assert old.login(username=user.username).status_code == 502
    later = time.monotonic() + 60
    monkeypatch.setattr(proxy.time, "monotonic", lambda: later)
    assert old.login(username=user.username).status_code == 207


@pytest.fixture
def passing_on(old: Old, upstream: Upstream, settings: Any) -> Upstream:
    """Everything goes to legacy."""
    settings.LEGACY_SERVED_BY = "legacy"
    return upstream


@pytest.mark.parametrize(
    "path",
    [
        "/api/%2e%2e/admin", "/api/../admin", "/api/.%2E/admin", "/api/products/%2e/x", "/api//auth/login",
        "/api/products//x", "/api/products/%2e%2e%2fadmin", "/api/products/..%5cadmin", "/api//", "//api/auth/login",
    ],
)  # fmt: skip
def test_a_path_that_could_mean_another_is_refused(old: Old, passing_on: Upstream, path: str) -> None:
    answer = old.client.get("/api/products", REQUEST_URI=path, PATH_INFO="/" + unquote(path).lstrip("/"))
    assert (answer.status_code, answer.json()) == (400, {"detail": "Bad path"})
    assert passing_on.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/products/a%2Fb%20c?q=%41%zz&x=%", "/api/products/%C3%BC", "/api/products/%c3%bc", "/api/products/%ff%00",
        "/api/a%25b", "/api/a..b/",
        "/api/licenses/validate/AB//CD+/=", "/api/products;v=1?a=b?c",
    ],
)  # fmt: skip
def test_a_path_is_passed_on_byte_for_byte(old: Old, passing_on: Upstream, path: str) -> None:
    assert old.client.get(path.partition("?")[0], REQUEST_URI=path).status_code == 207
    assert passing_on.seen[0][1] == path


def test_the_absolute_form_of_a_target_is_its_path(old: Old, passing_on: Upstream) -> None:
    assert old.client.get("/api/products", REQUEST_URI="http://elsewhere.example/api/products?x").status_code == 207
    assert passing_on.seen[0][1] == "/api/products?x"


def test_a_body_without_a_length_is_refused(old: Old, passing_on: Upstream) -> None:
    answer = old.client.post("/api/products", HTTP_TRANSFER_ENCODING="chunked")
    assert (answer.status_code, answer.json()) == (411, {"detail": "Length Required"})
    assert passing_on.seen == []


def test_where_a_request_came_from_is_said_by_us_alone(old: Old, passing_on: Upstream) -> None:
    made_up = {
        "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil",
        "X-Forwarded-Proto": "gopher", "X-Forwarded-Prefix": "/x",
    }  # fmt: skip
    old.client.get("/api/products", headers=made_up, REMOTE_ADDR="192.0.2.7")
    sent = {name: value for name, value in passing_on.seen[0][2].items() if "orward" in name or "Real" in name}
    assert sent == {
        "X-Forwarded-For": "192.0.2.7", "X-Real-IP": "192.0.2.7", "X-Forwarded-Host": "testserver",
        "X-Forwarded-Proto": "http",
    }  # fmt: skip


def test_our_cookies_never_go_up_and_legacys_come_back_for_its_own_path(old: Old, passing_on: Upstream) -> None:
    passing_on.headers += [
        ("Set-Cookie", "theirs=1; Path=/; Domain=example.org; HttpOnly"), ("Set-Cookie", "other=2; Path=/admin"),
        ("Set-Cookie", "sessionid=stolen; Path=/"), ("Set-Cookie", "csrftoken=stolen"),
    ]  # fmt: skip
    headers = {"Cookie": "sessionid=secret; theirs=0; csrftoken=secret; more=a b"}
    answer = old.client.get("/api/products", headers=headers)
    assert passing_on.seen[0][2]["Cookie"] == "theirs=0; more=a b"
    assert {name: answer.cookies[name]["path"] for name in ("theirs", "other")} == {"theirs": "/api/", "other": "/api/"}
    assert "stolen" not in str(answer.cookies) and "example.org" not in str(answer.cookies)


def test_a_page_of_legacys_may_do_nothing_on_our_origin(old: Old, passing_on: Upstream) -> None:
    passing_on.headers = [("Content-Type", "text/html"), ("Content-Security-Policy", "default-src *")]
    answer = old.client.get("/api/products")
    assert (answer["Content-Security-Policy"], answer["X-Content-Type-Options"]) == ("sandbox", "nosniff")


def test_an_upstream_that_does_not_listen_is_down_at_once(old: Old, upstream: Upstream, settings: Any) -> None:
    settings.LEGACY_SERVED_BY, settings.LEGACY_UPSTREAM_URL = "legacy", "http://127.0.0.1:9"
    begun = time.monotonic()
    assert old.client.get("/api/products").status_code == 502
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    "target",
    [
        "a:/api/products?://h/internal/admin", "http:/api/products?x=://h/internal", "\x01/api/products?://h/internal",
        "/api/other?x", "http://localhost?/api/products", "*", "products",
    ],
)  # fmt: skip
def test_what_is_judged_by_one_path_is_not_passed_on_by_another(old: Old, passing_on: Upstream, target: str) -> None:
    assert old.client.get("/api/products", REQUEST_URI=target).status_code == 400
    assert passing_on.seen == []


def test_two_content_types_make_no_page_of_ours(old: Old, passing_on: Upstream) -> None:
    passing_on.headers = [
        ("Content-Type", "application/json"), ("Content-Type", "text/html"), ("Clear-Site-Data", '"cookies"'),
        ("Service-Worker-Allowed", "/"), ("Set-Cookie", "messages=x"),
    ]  # fmt: skip
    answer = old.client.get("/api/products", headers={"Cookie": "messages=secret; a=b"})
    assert answer["Content-Security-Policy"] == "sandbox" and "messages=x" not in str(answer.cookies)
    assert not {"Clear-Site-Data", "Service-Worker-Allowed"} & set(answer.headers)
    assert passing_on.seen[0][2]["Cookie"] == "a=b"
