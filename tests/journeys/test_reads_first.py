"""Reads first under load: whoever reads finds what they wrote, and nobody finds what is older than two seconds."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import pytest
from django.db import connections
from django.test import Client
from joserfc import jwt
from joserfc.jwk import OctKey

from flags import reads
from flags.models import TenantHome
from legacy_compat import proxy
from migration_portal.cutover import reads_first
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.legacy_compat.upstream import Upstream
from tests.world import World, eventually

SECONDS = 12
LEGACY, IAM = 207, 200


@dataclass
class Person:
    """A client: writes a new name now and then, and asks for it all the time."""

    id: str
    token: str
    luck: random.Random
    name: str = ""
    answers: dict[int, int] = field(default_factory=lambda: {LEGACY: 0, IAM: 0})
    faults: list[str] = field(default_factory=list)

    def live(self, until: float) -> None:
        client, write_at = Client(headers={"Authorization": f"Bearer {self.token}"}), 0.0
        while time.monotonic() < until:
            if time.monotonic() > write_at:
                self.name = f"name {self.luck.randrange(10**9)}"
                client.put(f"/api/auth/users/{self.id}", f"full_name={self.name}", "application/x-www-form-urlencoded")
                write_at = time.monotonic() + self.luck.uniform(0.2, 6)
            answer = client.get("/api/auth/me")
            self.answers[answer.status_code] += 1
            if answer.status_code == IAM and answer.json()["full_name"] != self.name:
                self.faults.append(f"wrote {self.name}, read {answer.json()['full_name']}")
        connections.close_all()


@pytest.fixture
def upstream(world: World, settings: Any) -> Any:
    """Legacy's application: a write to a user is committed before it is answered."""
    settings.AUTH_CALLS_A_MINUTE = settings.OTHER_CALLS_A_MINUTE = 0
    settings.LEGACY_JWT_SECRET = "a secret that both systems know, long enough for HS256"
    made = Upstream()
    settings.LEGACY_UPSTREAM_URL, settings.LEGACY_UPSTREAM_SECONDS = made.url, 5

    def write(path: str, body: bytes) -> None:
        with world.legacy() as legacy:
            legacy.execute(
                "UPDATE users SET full_name = %s WHERE id::text = %s",
                [unquote_plus(body.decode().removeprefix("full_name=")), path.rsplit("/", 1)[-1]],
            )

    made.written = write
    proxy._succeeded()
    yield made
    made.server.shutdown()
    proxy._succeeded()


def test_reads_first_under_load(world: World, upstream: Upstream, settings: Any) -> None:
    builders.legacy_tables(world)
    tenant = builders.tenant(world)
    users = [builders.user(world, tenant, username=f"user{n}") for n in range(4)]
    builders.migrated(world, capture=True)
    sync_tenants()
    world.beat()
    follower = world.follower()
    key = OctKey.import_key(settings.LEGACY_JWT_SECRET)
    claims = {"tenant_id": tenant, "exp": int(time.time()) + 900}
    people = [
        Person(
            user,
            jwt.encode({"alg": "HS256"}, claims | {"sub": f"user{n}", "user_id": user}, key),
            random.Random(n),
        )
        for n, user in enumerate(users)
    ]
    eventually(lambda: not reads_first_refused(tenant))
    eventually(lambda: reads.current(tenant))
    threads = [
        threading.Thread(target=person.live, args=[time.monotonic() + SECONDS], daemon=True) for person in people
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [person.faults for person in people] == [[]] * 4
    assert sum(person.answers[IAM] for person in people) > 4  # hundreds where nothing else runs
    assert sum(person.answers[LEGACY] for person in people) > 4

    asker = Client(headers={"Authorization": f"Bearer {people[0].token}"})
    eventually(lambda: asker.get("/api/auth/me").status_code == IAM)
    os.killpg(follower.pid, 9)
    follower.wait()
    time.sleep(reads.FRESH_SECONDS)
    assert asker.get("/api/auth/me").status_code == LEGACY
    world.follower()
    eventually(lambda: asker.get("/api/auth/me").status_code == IAM)
    reads_first.reads_back(TenantHome.objects.all(), by="otto", reason="back")
    assert asker.get("/api/auth/me").status_code == LEGACY


def reads_first_refused(tenant: str) -> str:
    from migration_portal.refusal import Refusal

    try:
        reads_first.reads_first([TenantHome.objects.get(pk=tenant)], by="otto")
    except Refusal as refusal:
        return str(refusal)
    return ""
