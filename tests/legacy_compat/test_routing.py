"""Which system answers: by the tenant's home, at this moment; and what a client sees when the legacy system is unwell."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import OctKey

from flags import homes
from flags.models import TenantHome
from legacy_compat import proxy
from tests.legacy_compat.conftest import PASSWORD, Old, make_tenant, make_user
from tests.stack import eventually


class Upstream:
    """The legacy system as a plain HTTP server that remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.behave = ""
        self.status, self.body = 207, b'{"from":"legacy"}'
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                upstream.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                if upstream.behave == "slow":
                    time.sleep(1.5)
                if upstream.behave == "nonsense":
                    self.wfile.write(b"what is this\r\n\r\n")
                    return
                body = upstream.body
                self.send_response(upstream.status)
                self.send_header("Content-Type", "application/vnd.old+json")
                self.send_header("X-Old", "yes")
                self.send_header("Content-Length", str(len(body) + (50 if upstream.behave == "cut" else 0)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def say(self, status: int, body: Any) -> None:
        self.status, self.body = status, json.dumps(body).encode()


@pytest.fixture
def upstream(old: Old, settings: Any) -> Iterator[Upstream]:
    made = Upstream()
    settings.LEGACY_UPSTREAM_URL, settings.LEGACY_UPSTREAM_SECONDS = made.url, 0.5
    yield made
    made.server.shutdown()
    proxy._succeeded()


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


def test_a_tenant_in_the_iam_never_reaches_legacy(old: Old, upstream: Upstream) -> None:
    assert old.login().status_code == 200
    assert upstream.seen == []


def test_a_flip_is_seen_by_the_next_request(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    assert old.get("/api/auth/me", token).status_code == 200
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    assert old.get("/api/auth/me", token).status_code == 207


def test_the_kill_switch_sends_everybody_to_one_side(old: Old, upstream: Upstream, settings: Any) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    assert old.login().status_code == 207


def test_a_token_that_legacy_issued_works_after_the_cut_over(old: Old, settings: Any) -> None:
    claims = {
        "sub": old.user.username, "user_id": str(old.user.pk), "tenant_id": str(old.tenant.pk), "exp": int(time.time()) + 60,
    }  # fmt: skip
    key = OctKey.import_key(settings.LEGACY_JWT_SECRET)
    token = jwt.encode({"alg": "HS256"}, claims, key)
    assert old.get("/api/auth/me", token).json()["id"] == str(old.user.pk)
    spent = jwt.encode({"alg": "HS256"}, claims | {"exp": int(time.time()) - 1}, key)
    assert old.get("/api/auth/me", spent).status_code == 401
    renewed = jwt.encode({"alg": "HS256"}, claims | {"type": "refresh"}, key)
    assert old.post("/api/auth/refresh", refresh_token=renewed).status_code == 200


@pytest.mark.parametrize("kind", ["other key", "no algorithm", "changed", "refresh as access", "other tenant"])
def test_a_token_that_is_not_right_is_refused(old: Old, settings: Any, kind: str) -> None:
    pair = old.login().json()
    good = pair["access_token"]
    head, body, signature = good.split(".")
    claims = {"sub": "x", "user_id": str(old.user.pk), "exp": int(time.time()) + 60}
    key = OctKey.import_key(settings.LEGACY_JWT_SECRET)
    bad = {
        "other key": jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("another secret of a decent length, too")),
        "no algorithm": f"eyJhbGciOiJub25lIn0.{body}.",
        "changed": f"{head}.{body[:-4]}AAAA.{signature}",
        "refresh as access": pair["refresh_token"],
        "other tenant": jwt.encode({"alg": "HS256"}, claims | {"tenant_id": str(make_tenant().pk)}, key),
    }[kind]
    answer = old.get("/api/auth/me", bad)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Could not validate credentials"})


def test_a_write_waits_for_the_tenant_and_goes_to_its_new_home(old: Old, upstream: Upstream) -> None:
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(
        home="legacy", held_until=timezone.now() + timedelta(seconds=20)
    )

    def flip() -> None:
        time.sleep(0.4)
        TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="iam", held_until=None)

    thread = threading.Thread(target=flip)
    thread.start()
    began = time.monotonic()
    answer = old.login(tenant_id=str(old.tenant.pk))
    thread.join()
    assert answer.status_code == 200 and time.monotonic() - began > 0.3
    assert upstream.seen == []


def test_a_read_does_not_wait(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(held_until=timezone.now() + timedelta(seconds=20))
    began = time.monotonic()
    assert old.get("/api/auth/me", token).status_code == 200
    assert time.monotonic() - began < 2


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


def test_the_log_line_holds_no_password_and_no_token(old: Old, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        token = old.login().json()["access_token"]
        old.get("/api/auth/me", token)
    lines = [str(record.msg) for record in caplog.records if "legacy_request" in str(record.msg)]
    assert len(lines) == 2
    assert not any(PASSWORD in line or token in line for line in lines)


def test_long_bodies_are_passed_on_both_ways_as_they_come(old: Old, upstream: Upstream, settings: Any) -> None:
    settings.LEGACY_SERVED_BY = "legacy"
    settings.LEGACY_UPSTREAM_SECONDS = 5
    upstream.body = b"x" * 3_000_000
    answer = old.client.post("/api/import", b"y" * 4_000_000, content_type="application/octet-stream")
    assert answer.streaming and b"".join(answer.streaming_content) == upstream.body
    assert upstream.seen[0][3] == b"y" * 4_000_000


def test_a_tenant_is_not_moved_while_a_write_to_it_is_under_way(old: Old, upstream: Upstream, settings: Any) -> None:
    """As the move does it: the hold first, then it waits for the requests that began before."""
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    settings.LEGACY_UPSTREAM_SECONDS, upstream.behave = 5, "slow"
    thread = threading.Thread(target=lambda: (old.login(tenant_id=str(old.tenant.pk)), connections.close_all()))
    thread.start()
    eventually(lambda: upstream.seen)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(held_until=timezone.now() + timedelta(seconds=20))
    assert not homes.wait_for_writers(str(old.tenant.pk), seconds=0.2)
    assert homes.wait_for_writers(str(old.tenant.pk), seconds=5)
    thread.join()


def of_legacy(old: Old, settings: Any, **more: Any) -> str:
    """A token as the legacy system issues them: it names no session."""
    claims = {
        "sub": old.user.username, "user_id": str(old.user.pk), "tenant_id": str(old.tenant.pk), "exp": int(time.time()) + 900,
    }  # fmt: skip
    return jwt.encode({"alg": "HS256"}, claims | more, OctKey.import_key(settings.LEGACY_JWT_SECRET))


def test_a_token_of_legacys_ends_with_its_logout(old: Old, settings: Any) -> None:
    token, other = of_legacy(old, settings), of_legacy(old, settings, exp=int(time.time()) + 901)
    assert old.post("/api/auth/logout", token).status_code == 200
    assert old.get("/api/auth/me", token).status_code == 401
    assert old.get("/api/auth/me", other).status_code == 200


def test_tokens_of_legacys_end_with_a_new_password(old: Old, settings: Any) -> None:
    token = of_legacy(old, settings)
    renewed = of_legacy(old, settings, type="refresh", exp=int(time.time()) + 6 * 86400)
    changed = old.post("/api/auth/change-password", token, current_password=PASSWORD, new_password="another one")
    assert changed.status_code == 200
    assert old.get("/api/auth/me", token).status_code == 401
    assert old.post("/api/auth/refresh", refresh_token=renewed).status_code == 401


def test_a_token_revoked_here_does_not_reach_legacy(old: Old, upstream: Upstream) -> None:
    token = old.login().json()["access_token"]
    old.post("/api/auth/logout", token)
    TenantHome.objects.filter(pk=str(old.tenant.pk)).update(home="legacy")
    assert old.get("/api/auth/me", token).status_code == 401
    assert upstream.seen == []
