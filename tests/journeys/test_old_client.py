"""A client of the legacy system that never stops, while its tenant is cut over and reversed again and again."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from typing import Any

from flags.models import TenantHome
from migration_portal.cutover import ask
from migration_portal.cutover.models import Cutover
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from tests.stack import World, eventually

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
        listed = self.call("GET", "auth/users", token=again["access_token"])
        if not any(user["username"] == self.username for user in listed.get("users", [])):
            self.wrong.append("not in the list of users")
        new = f"password-{self.rounds}"
        self.call("POST", "auth/change-password", token=again["access_token"], current_password=self.password, new_password=new)
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


def test_a_client_notices_nothing_while_its_tenant_moves_to_and_fro(world: World) -> None:
    world.sample(users=600, tenants=6, rate=0)
    # The legacy system: the same endpoints, answered from legacy's own database.
    legacy = world.site(
        LEGACY_SERVED_BY="iam", IAM_DATABASE_URL=world.url("legacy_service"), LEGACY_JWT_SECRET=SECRET,
        LEGACY_CALLS_A_MINUTE="0",
    )  # fmt: skip
    portal = world.site(LEGACY_UPSTREAM_URL=legacy, LEGACY_JWT_SECRET=SECRET, LEGACY_CALLS_A_MINUTE="0")
    assert portal
