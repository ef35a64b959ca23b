"""An IAM that fails under load: its wave goes back to legacy by itself, and nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from typing import Any

import bcrypt
import psycopg

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import requests
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.rollback.models import Judgement
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.retry import discard_rows
from migration_portal.runs.start import start
from tests.journeys.test_old_client import SECRET, known_user, legacy_service
from tests.world import World, eventually

_FAULT = """
CREATE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a fault of the IAM'; END $$;
CREATE TRIGGER broken BEFORE UPDATE ON users FOR EACH STATEMENT
WHEN (current_setting('portal.applying', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION public.broken()
"""


def call(url: str, method: str, path: str, token: str = "", **fields: str) -> tuple[int, dict[str, Any]]:
    data = urllib.parse.urlencode(fields).encode() if fields else None
    asked = urllib.request.Request(f"{url}/api/{path}", data, method=method)
    if token:
        asked.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


def test_a_wave_whose_iam_fails_is_reversed_by_itself(world: World) -> None:
    world.sample(users=600, tenants=6, rate=0)
    username, tenant = known_user(world)
    more = {"ROLLBACK_MODE": "act", "LOG_LEVEL": "ERROR"}
    url = world.site(
        LEGACY_UPSTREAM_URL=legacy_service(world), LEGACY_JWT_SECRET=SECRET, AUTH_CALLS_A_MINUTE="0", **more
    )
    for begin in (world.worker, world.follower, world.operator, world.beat):
        begin(**more)
    run = start(by="tester", capture=True)
    eventually(lambda: Run.objects.get(pk=run.pk).state == "completed", 120)
    eventually(lambda: FlowStatus.objects.filter(pk="forward").exists(), 60)
    discard_rows(list(QuarantinedRow.objects.filter(state="open")), by="tester", reason="the sample's own dirt")
    sync_tenants()
    home = TenantHome.objects.get(pk=tenant)
    requests.cut_over([home], by="tester", reason="practice", wave="pilot")
    lives_in = lambda side: TenantHome.objects.get(pk=tenant).home == side  # noqa: E731
    eventually(lambda: lives_in("iam"), 60)

    def signs_in(password: str = "secret") -> int:
        return call(url, "POST", "auth/login", username=username, password=password, tenant_id=tenant)[0]

    token = call(url, "POST", "auth/login", username=username, password="secret", tenant_id=tenant)[1]["access_token"]
    new = "An acknowledged Password, 1"
    changed = {"current_password": "secret", "new_password": new}
    assert call(url, "POST", "auth/change-password", token, **changed)[0] == 200
    eventually(lambda: 30 <= datetime.now().second <= 40, 70)  # enough of the minute is left to be judged, and not much
    with world.iam() as iam:
        iam.execute(_FAULT)
    began, statuses = time.monotonic(), []
    while not lives_in("legacy"):
        statuses.append(signs_in(new))
        time.sleep(0.1)  # one client, and not a load
        assert time.monotonic() - began < 240, Judgement.objects.values("severity", "reasons", "acted").first()
    took = time.monotonic() - began
    assert 500 in statuses
    assert signs_in(new) == 200  # what was acknowledged in the IAM is in legacy
    judged = Judgement.objects.exclude(acted="").get()
    assert judged.action == "immediate" and "the wave pilot" in judged.acted
    assert Event.objects.filter(verb="roll_back", actor="decision matrix").count() == 1
    print(f"from the first fault to legacy: {took:.0f} s, of which {statuses.count(500)} sign-ins failed")
    with psycopg.connect(world.url("legacy")) as legacy:
        last = legacy.execute(
            "SELECT hashed_password FROM users WHERE username = %s AND tenant_id = %s", [username, tenant]
        )
        assert bcrypt.checkpw(new.encode(), last.fetchone()[0].encode())
