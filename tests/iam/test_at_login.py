"""Migration at login: a password that only legacy can check is asked there once, and hashed here from then on."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.checks import run_checks

from flags.models import TenantHome
from iam import at_login, passwords, throttles
from iam.models import User
from migration_portal.decommission.remaining import remaining
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import make_user
from tests.world import World

SECRET = "a secret of both sides"
STORED = "proprietary:0xdeadbeef"


@pytest.fixture
def world(rolled_back: World) -> World:
    return rolled_back


class Legacy:
    """A server that knows one password; `answer` says what it does instead."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], str]] = []
        self.answer: tuple[int, bytes, dict[str, str]] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
                assert self.headers["X-Signature"] == f"sha256={signed}"
                outer.asked.append((json.loads(body), self.path))
                right = {"valid": json.loads(body)["password"] == "only legacy knows"}
                status, content, headers = outer.answer or (200, json.dumps(right).encode(), {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/check"


@pytest.fixture
def legacy(settings: Any) -> Iterator[Legacy]:
    made = Legacy()
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = made.url, SECRET
    yield made
    made.server.shutdown()


@pytest.fixture
def user(api: Api) -> User:
    return make_user(api.tenant, hashed_password=STORED)


def test_who_signs_in_once_is_not_asked_for_again(api: Api, user: User, legacy: Legacy) -> None:
    assert api.login(user, password="only legacy knows").status_code == 200
    user.refresh_from_db()
    assert user.hashed_password.startswith("$2b$") and user.last_password_change is not None
    assert api.login(user, password="only legacy knows").status_code == 200
    assert [body["user_id"] for body, _ in legacy.asked] == [str(user.pk)]
    assert legacy.asked[0][0]["tenant_id"] == str(api.tenant.pk)


def test_a_final_tenants_users_are_hashed_for_good(api: Api, user: User, legacy: Legacy) -> None:
    TenantHome.objects.filter(pk=str(api.tenant.pk)).update(final=True)
    assert api.login(user, password="only legacy knows").status_code == 200
    user.refresh_from_db()
    assert user.hashed_password.startswith("$argon2id$")


def test_a_wrong_password_is_wrong_and_counts(api: Api, user: User, legacy: Legacy) -> None:
    for _ in range(throttles.FAILURES):
        assert api.login(user, password="guess").status_code == 401
    asked = len(legacy.asked)
    assert api.login(user, password="only legacy knows").status_code == 401, "locked out, like everybody"
    assert len(legacy.asked) == asked, "and legacy is not asked for who is locked out"


def test_the_old_door_asks_as_well(api: Api, user: User, legacy: Legacy) -> None:
    right = {"username": user.username, "password": "only legacy knows"}
    assert api.client.post("/api/auth/login", right).status_code == 200
    user.refresh_from_db()
    assert passwords.readable(user.hashed_password)


def test_nobody_is_asked_about_a_hash_that_can_be_checked(api: Api, legacy: Legacy) -> None:
    assert api.login(password="wrong").status_code == 401 and legacy.asked == []


def test_without_the_setting_such_a_password_is_wrong(api: Api, user: User) -> None:
    assert api.login(user, password="only legacy knows").status_code == 401


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"", {}), (302, b"", {"Location": "http://127.0.0.1:1/"}), (200, b"<html>Welcome</html>", {}), (200, b"[]", {}),
        (200, b'{"valid": "yes"}', {}), (200, b'{"access_token": ""}', {}), (429, b"", {}), (200, b"x" * 100_000, {}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_answer_signs_nobody_in_and_blames_nobody(api: Api, user: User, legacy: Legacy, answer: Any) -> None:
    legacy.answer = answer
    told = api.login(user, password="only legacy knows")
    assert told.status_code == 503 and told.json()["detail"] == "Sign-ins cannot be checked now; try again."
    legacy.answer = None
    assert api.login(user, password="only legacy knows").status_code == 200, "it did not count as a failure"


def test_a_legacy_that_is_away_is_no_answer_at_any_door(api: Api, user: User, legacy: Legacy, settings: Any) -> None:
    settings.PASSWORD_CHECK_URL = "http://127.0.0.1:1/"
    assert api.login(user, password="only legacy knows").status_code == 503
    right = {"username": user.username, "password": "only legacy knows"}
    assert api.client.post("/api/auth/login", right).status_code == 503


@pytest.mark.parametrize(
    ("answer", "status"),
    [((204, b"", {}), 200), ((200, b'{"access_token": "t"}', {}), 200), ((401, b"", {}), 401), ((404, b"", {}), 401)],
    ids=str,
)
def test_a_login_endpoint_answers_as_well_as_a_webhook(
    api: Api, user: User, legacy: Legacy, answer: Any, status: int
) -> None:
    legacy.answer = answer
    assert api.login(user, password="whatever it says").status_code == status


def test_decommission_waits_for_whom_only_legacy_can_check(api: Api, user: User, legacy: Legacy) -> None:
    def left() -> int:
        return next(each.count for each in remaining() if each.what == "users whose password only legacy can check")

    assert left() == 1
    api.login(user, password="only legacy knows")
    assert left() == 0


def test_passwords_are_not_sent_in_clear(settings: Any) -> None:
    settings.PASSWORD_CHECK_URL, settings.PASSWORD_CHECK_SECRET = "http://legacy.example/check", ""
    found = {each.id for each in run_checks(include_deployment_checks=True)}
    assert {"iam.E001", "iam.W001"} <= found
    with pytest.raises(at_login.Away):
        at_login.knows(User(hashed_password=STORED), "only legacy knows")


@pytest.mark.parametrize(
    "stored",
    [
        "$2y$10$x",
        "$argon2id$v=19",
        "$pbkdf2$1$x$y",
        "$pbkdf2-sha512$1$x$y",
        "$firebase-scrypt$r=8",
        "pbkdf2_sha1$1$x$y",
        "bcrypt$$2b$x",
        "md5$x$y",
    ],
)
def test_what_counts_as_readable_is_the_same_for_postgresql(api: Api, stored: str) -> None:
    made = make_user(api.tenant, hashed_password=stored)
    assert passwords.readable(stored)
    assert User.objects.filter(pk=made.pk, hashed_password__regex=passwords.READABLE).exists()
