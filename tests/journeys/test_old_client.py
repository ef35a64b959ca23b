"""A client of the legacy system that never stops, while its tenant is cut over and reversed again and again."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import bcrypt

from flags.models import TenantHome
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard, requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from tests.world import World, eventually

SECRET = "a secret that both systems know, long enough for HS256"


class OldClient(threading.Thread):
    """Logs in, reads, refreshes, lists and changes its password, for ever; remembers every status it got."""

    def __init__(self, url: str, username: str, tenant: str, password: str) -> None:
        super().__init__(daemon=True)
        self.url, self.username, self.tenant, self.password = url, username, tenant, password
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.rounds = 0

    def run(self) -> None:
        while not self.over.is_set():
            self.round()
            self.rounds += 1

    def round(self) -> None:
        signed = self.call("POST", "auth/login", username=self.username, password=self.password, tenant_id=self.tenant)
        me = self.call("GET", "auth/me", token=signed["access_token"])
        if me.get("username") != self.username:
            self.wrong.append(f"/me is {me}")
        again = self.call("POST", "auth/refresh", refresh_token=signed["refresh_token"])
        listed = self.call("GET", "auth/users?size=1000", token=again["access_token"])
        if not any(user["username"] == self.username for user in listed.get("users", [])):
            self.wrong.append("not in the list of users")
        new = f"A long Password, number {self.rounds}"  # as the sample's tenants want them
        self.call(
            "POST",
            "auth/change-password",
            token=again["access_token"],
            current_password=self.password,
            new_password=new,
        )
        self.password = new

    def call(self, method: str, path: str, token: str = "", **fields: str) -> dict[str, Any]:
        data = urllib.parse.urlencode(fields).encode() if fields else None
        request = urllib.request.Request(f"{self.url}/api/{path}", data, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.statuses[path, answer.status] += 1
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            self.statuses[path, error.code] += 1
            self.wrong.append(f"{path}: {error.code} {error.read()[:200]!r}")
            self.over.set()
            raise


def legacy_service(world: World, app: str = "bench.peer_api:app") -> str:
    """The legacy system: its endpoints, on its own database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world.spawn(
        "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning",
        PEER_DATABASE_URL=world.url("legacy"), PEER_IDS="text", LEGACY_JWT_SECRET=SECRET,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            return bool(urllib.request.urlopen(f"{url}/health/ready", timeout=2).status == 200)
        except OSError:
            return False

    eventually(up)
    return url


def known_user(world: World) -> tuple[str, str]:
    """The name and the tenant of a superuser of the sample, whose ids are ids, and whose password is "secret"."""
    quick = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    with world.legacy() as legacy:
        row = legacy.execute(
            "UPDATE users SET hashed_password = %s, is_superuser = true, is_active = true WHERE id = ("
            "SELECT u.id FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE u.id || t.id ~ '^[0-9a-f-]{72}$'"
            " ORDER BY u.id LIMIT 1) RETURNING username, tenant_id",
            [quick],
        ).fetchone()
    assert row is not None
    return row


def test_a_client_notices_nothing_while_its_tenant_moves_to_and_fro(world: World) -> None:
    world.sample(users=600, tenants=6, rate=0)
    username, tenant = known_user(world)
    portal = world.site(
        LEGACY_UPSTREAM_URL=legacy_service(world),
        LEGACY_JWT_SECRET=SECRET,
        AUTH_CALLS_A_MINUTE="0",
        LOG_LEVEL="ERROR",
    )
    world.worker()
    world.follower()
    world.beat()
    run = start(by="tester", capture=True)
    eventually(lambda: Run.objects.get(pk=run.pk).state == "completed", 120)
    eventually(lambda: FlowStatus.objects.filter(pk="forward").exists(), 60)
    guard.switch(on=True, by="tester")
    discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="the sample's own dirt")
    sync_tenants()
    home = TenantHome.objects.get(pk=tenant)
    client = OldClient(portal, username, tenant, "secret")
    client.start()

    def until(condition: Callable[[], bool]) -> None:
        eventually(lambda: condition() or client.wrong or aborted(), 60)
        assert client.wrong == [] and aborted() == []

    def lives_in(side: str) -> bool:
        return TenantHome.objects.get(pk=tenant).home == side

    for _ in range(3):
        for side, move in (("iam", requests.cut_over), ("legacy", requests.reverse)):
            client.rounds = 0
            until(lambda: client.rounds > 1)
            move([home], by="tester", reason="practice")
            until(lambda side=side: lives_in(side))
    client.over.set()
    client.join(30)
    assert client.wrong == []
    assert {status for _, status in client.statuses} == {200}
    assert Cutover.objects.filter(state="done").count() == 6
    with world.legacy() as legacy:
        stored = legacy.execute("SELECT hashed_password FROM users WHERE username = %s", [username]).fetchone()[0]
    assert bcrypt.checkpw(client.password.encode(), stored.encode())


def aborted() -> list[str]:
    return list(Cutover.objects.filter(state="blocked").values_list("error", flat=True))
