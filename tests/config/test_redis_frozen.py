"""A Redis that froze: the console answers, reads go on, and what must be counted is refused within seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User as Operator

from config.embedded.redis import find
from tests.iam import conftest as iam_conftest
from tests.iam.oauth.conftest import csrf
from tests.legacy_compat.conftest import PASSWORD, make_tenant, make_user
from tests.world import World, eventually

SECRET = "a secret that both systems know, long enough for HS256"
SOON = 5.0


@pytest.fixture
def frozen(world: World, tmp_path: Path) -> Iterator[Any]:
    """A site with a Redis of its own, and the function that freezes it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [str(find()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )

    def up() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return False

    eventually(up)
    url = world.site(REDIS_URL=f"redis://127.0.0.1:{port}/0", LEGACY_JWT_SECRET=SECRET, AUTH_CALLS_A_MINUTE="100")
    yield url, lambda: os.kill(server.pid, signal.SIGSTOP)
    server.kill()
    server.wait()


def timed(ask: Any) -> tuple[Any, float]:
    begun = time.monotonic()
    return ask(), time.monotonic() - begun


def test_reads_go_on_and_sign_ins_are_refused_at_once(frozen: Any) -> None:
    url, freeze = frozen
    iam_conftest.keys.forget()
    user = make_user(make_tenant())
    form = {"username": user.username, "password": PASSWORD}
    token = requests.post(f"{url}/api/auth/login", form, timeout=20).json()["access_token"]
    freeze()
    headers = {"Authorization": f"Bearer {token}"}
    read, took = timed(lambda: requests.get(f"{url}/api/auth/me", headers=headers, timeout=30))
    assert read.status_code == 200 and took < SOON
    refused, took = timed(lambda: requests.post(f"{url}/api/auth/login", form, timeout=30))
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5") and took < SOON
    body = {"username": user.username, "password": PASSWORD}
    problem, took = timed(lambda: requests.post(f"{url}/api/v1/auth/login", json=body, timeout=30))
    assert problem.status_code == 503 and problem.json()["type"].endswith("unavailable") and took < SOON


def test_the_console_does_not_hang(frozen: Any, world: World) -> None:
    url, freeze = frozen
    Operator.objects.create_superuser("ann", password=PASSWORD)
    browser = requests.Session()
    freeze()
    page = browser.get(f"{url}/admin/login/", timeout=30)
    form = {"username": "ann", "password": PASSWORD, "csrfmiddlewaretoken": csrf(page), "next": "/admin/"}
    signed, took = timed(
        lambda: browser.post(f"{url}/admin/login/?next=/admin/", form, timeout=30, allow_redirects=False)
    )
    assert signed.status_code == 302 and took < SOON
    for path in ("/admin/", "/admin/runs/run/", "/admin/inventory/inventory/"):
        page, took = timed(lambda path=path: browser.get(url + path, timeout=30))
        assert page.status_code == 200 and took < SOON, path
    form = {"csrfmiddlewaretoken": csrf(page)}
    asked, took = timed(
        lambda: browser.post(f"{url}/admin/inventory/inventory/take/", form, timeout=60, allow_redirects=False)
    )
    assert asked.status_code == 302 and took < 2 * SOON, took
