"""Clients of the released service that call all that it has, while their tenant is cut over and reversed again and again.

`PORTAL_TEST_REQUESTS` says how many requests at least (`make endure`: 10,000).
"""

from __future__ import annotations

import base64
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from typing import Any

import bcrypt

from config.main_job import RELEASED_PLAN
from flags.models import TenantHome
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard, requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from tests.journeys.test_old_client import SECRET, aborted, legacy_service
from tests.world import World, eventually

REQUESTS = int(os.environ.get("PORTAL_TEST_REQUESTS", "400"))
U = 18


class ReleasedClient(threading.Thread):
    """Somebody of the tenant's; `round` is what they do for ever. Every status that was not expected is kept in `wrong`."""

    def __init__(self, url: str, user: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.url, self.user = url, user
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.rounds = 0

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.round()
            except Exception as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
                return
            self.rounds += 1

    def round(self) -> None:
        raise NotImplementedError

    def login(self) -> dict[str, Any]:
        both = base64.b64encode(f"{self.user['username']}:secret".encode()).decode()
        pair: dict[str, Any] = self.call(
            "POST", "auth/login", form={"credentials": both, "tenant_id": self.user["tenant_id"]}
        )
        return pair

    def refresh(self, token: str, expected: int = 200) -> dict[str, Any]:
        found: dict[str, Any] = self.call("POST", "auth/refresh", form={"refresh_token": token}, expected=expected)
        return found

    def call(
        self, method: str, path: str, token: str = "", *, form: Any = None, body: Any = None, expected: int = 200
    ) -> Any:
        data = (
            urllib.parse.urlencode(form).encode() if form else json.dumps(body).encode() if body is not None else None
        )
        request = urllib.request.Request(f"{self.url}/api/{path}", data, method=method)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read()
        self.statuses[path.partition("?")[0], status] += 1
        if status != expected:
            self.wrong.append(f"{method} {path}: {status} {said[:200]!r}")
        return json.loads(said or b"null")


class Administrator(ReleasedClient):
    """Everything a client can ask for, once a round."""

    def round(self) -> None:
        me, tenant = self.user["id"], self.user["tenant_id"]
        pair = self.login()
        token = pair["access_token"]
        self.same(self.call("GET", "auth/me", token)["id"], me)
        self.same(self.call("GET", f"auth/users/{me}", token)["id"], me)
        self.same(self.call("GET", "auth/v1/users/me/profile", token)["id"], me)
        bio = f"round {self.rounds}"
        self.same(self.call("PUT", f"auth/users/{me}", token, body={"bio": bio})["bio"], bio)
        self.same(self.call("GET", "auth/me", token)["bio"], bio)
        self.same(me in {each["id"] for each in self.call("GET", "auth/users?limit=1000", token)}, True)
        self.same(self.call("GET", "auth/v1/users?size=1", token)["size"], 1)
        self.same(self.call("GET", f"tenants/{tenant}", token)["id"], tenant)
        made = self.call("POST", "licenses", token, body={"tenant_id": tenant, "payload": {"round": self.rounds}})
        place = f"licenses/{made['id']}"
        self.same(self.call("GET", place, token)["payload"], {"round": self.rounds})
        self.same(self.call("PUT", place, token, body={"validity_days": 7})["validity_days"], 7)
        self.call("GET", "licenses?size=1", token)
        self.call("DELETE", place, token)
        self.call("GET", place, token, expected=404)
        roles = {role["name"]: role["id"] for role in self.call("GET", "v1/roles/", token)}
        mine = f"v1/roles/users/{me}/roles/{roles['auditor']}"
        self.call("POST", mine, token)
        self.call("DELETE", mine, token)
        self.call("GET", "v1/sessions/", token)
        self.call("GET", "v1/applications/", token)
        self.call("GET", "products", token)
        again = self.refresh(pair["refresh_token"])
        self.call("POST", "auth/logout", again["access_token"])
        self.refresh(again["refresh_token"], expected=401)

    def same(self, found: Any, expected: Any) -> None:
        if found != expected:
            self.wrong.append(f"{found!r} is not {expected!r}")


class Sleeper(ReleasedClient):
    """Signed in once, and refreshes now and then: with a token that the other system may have issued, moves ago."""

    token = ""
    pause = 0.05

    def round(self) -> None:
        if not self.token:
            self.token = self.login()["refresh_token"]
        if not self.over.wait(self.pause):
            self.token = self.refresh(self.token)["refresh_token"]


class LoggedOut(ReleasedClient):
    """Signed out before the first move: the refresh token is good for nobody, wherever the tenant lives."""

    token = ""

    def round(self) -> None:
        if not self.token:
            pair = self.login()
            self.call("POST", "auth/logout", pair["access_token"])
            self.token = pair["refresh_token"]
        if not self.over.wait(0.1):
            self.refresh(self.token, expected=401)


def test_clients_of_the_released_service_notice_nothing(world: World, settings: Any) -> None:
    settings.MIGRATION_PLAN = str(RELEASED_PLAN)
    world.sample(users=600, tenants=6, rate=0, flavour="released")
    people = prepare(world)
    tenant = people[0]["tenant_id"]
    portal = world.site(
        LEGACY_UPSTREAM_URL=legacy_service(world, "tests.journeys.released_api:app"), LEGACY_JWT_SECRET=SECRET,
        LEGACY_CONTRACT="observed", AUTH_CALLS_A_MINUTE="0", OTHER_CALLS_A_MINUTE="0", LOG_LEVEL="ERROR",
        MIGRATION_PLAN=str(RELEASED_PLAN),
    )  # fmt: skip
    for process in (world.worker, world.follower, world.beat):
        process(MIGRATION_PLAN=str(RELEASED_PLAN))
    run = start(by="tester", capture=True)
    eventually(lambda: Run.objects.get(pk=run.pk).state == "completed", 120)
    eventually(lambda: FlowStatus.objects.filter(pk="forward").exists(), 60)
    guard.switch(on=True, by="tester")
    discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="the sample's own dirt")
    sync_tenants()
    home = TenantHome.objects.get(pk=tenant)
    clients: list[ReleasedClient] = [
        Administrator(portal, people[0]), Administrator(portal, people[1]), Sleeper(portal, people[2]),
        Sleeper(portal, people[3]), LoggedOut(portal, people[4]),
    ]  # fmt: skip
    clients[3].pause = 5.0  # type: ignore[attr-defined]
    for client in clients:
        client.start()

    def asked() -> int:
        return sum(client.statuses.total() for client in clients)

    def until(condition: Any, seconds: float = 120) -> None:
        eventually(lambda: condition() or any(client.wrong for client in clients) or aborted(), seconds)
        assert [client.wrong[:3] for client in clients if client.wrong] == [] and aborted() == []

    for turn, (side, move) in enumerate((("iam", requests.cut_over), ("legacy", requests.reverse)) * 3):
        until(lambda turn=turn: asked() >= REQUESTS * (turn + 1) / 7, 600)
        move([home], by="tester", reason="practice")
        until(lambda side=side: TenantHome.objects.get(pk=tenant).home == side)
    until(lambda: asked() >= REQUESTS, 600)
    for client in clients:
        client.over.set()
    for client in clients:
        client.join(60)
    assert [client.wrong[:3] for client in clients if client.wrong] == []
    assert {status for client in clients[:4] for (path, status) in client.statuses if path != "auth/refresh"} <= {
        200,
        404,
    }
    assert Cutover.objects.filter(state="done").count() == 6
    print(f"{asked():,} requests over six moves; " + ", ".join(f"{client.rounds} rounds" for client in clients))


def prepare(world: World) -> list[dict[str, str]]:
    """Five users of one tenant who can sign in; the first two are superusers."""
    quick = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    with world.legacy() as legacy:
        rows = legacy.execute(
            "WITH chosen AS (SELECT u.id, row_number() OVER (ORDER BY u.id) AS n FROM users u WHERE u.tenant_id ="
            " (SELECT tenant_id FROM users WHERE id ~ '^[0-9a-f-]{36}$' AND tenant_id ~ '^[0-9a-f-]{36}$' ORDER BY id LIMIT 1)"
            " AND u.id ~ '^[0-9a-f-]{36}$' ORDER BY u.id LIMIT 5)"
            " UPDATE users u SET hashed_password = %s, is_active = true, is_superuser = chosen.n < 3 FROM chosen"
            " WHERE u.id = chosen.id RETURNING u.id, u.username, u.tenant_id, chosen.n",
            [quick],
        ).fetchall()
        legacy.execute("UPDATE tenants SET is_active = true WHERE id = %s", [rows[0][2]])
        # What they have a role for already cannot be given to them again.
        legacy.execute("DELETE FROM user_roles WHERE user_id = ANY(%s)", [[row[0] for row in rows]])
    return [{"id": r[0], "username": r[1], "tenant_id": r[2]} for r in sorted(rows, key=lambda row: row[3])]
