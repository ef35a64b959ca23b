"""A notice under real workers that are killed: each recipient once in the ledger, and at most one message more for each kill."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections import Counter

from migration_portal.notices import plan, texts
from migration_portal.notices.models import Recipient
from tests.notices.smtp import mail_server
from tests.world import World, eventually

PEOPLE = int(os.environ.get("PORTAL_TEST_RECIPIENTS", "1500"))
KILLS = 3


def test_everybody_is_told_and_hardly_anybody_twice(world: World) -> None:
    tenant = uuid.uuid4()
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug, is_active) VALUES (%s, 'Acme', 'acme', true)", [tenant])
        iam.execute(
            "INSERT INTO users (id, tenant_id, username, email, hashed_password, is_active)"
            " SELECT gen_random_uuid(), %s, 'u' || n, 'u' || n || '@example.org', 'x', true FROM generate_series(1, %s) AS n",
            [tenant, PEOPLE],
        )
    texts.save("moving", "en", kind="announcement", subject="Moving", text="Dear $name", html="", by="otto")
    with mail_server() as (kept, port):
        environment = {"EMAIL_URL": f"smtp://127.0.0.1:{port}", "NOTICES_PER_SECOND": "100000"}
        workers = [world.operator(**environment), world.operator(**environment)]
        notice = plan.plan("Moving", "moving", {}, by="otto")
        world.beat(**environment)
        luck, kills = random.Random(7), 0
        eventually(lambda: len(kept.messages) > 50)
        while kills < KILLS and len(kept.messages) < PEOPLE * 0.8:
            time.sleep(luck.uniform(0.1, 0.5))
            victim = luck.randrange(len(workers))
            os.killpg(workers[victim].pid, 9)
            workers[victim].wait()
            workers[victim] = world.operator(**environment)
            kills += 1
            before = len(kept.messages)
            eventually(lambda before=before: len(kept.messages) > before)
        eventually(lambda: plan.counts(notice)["sent"] == PEOPLE, seconds=240 + PEOPLE / 100)
    sent = Counter(kept.recipients)
    assert len(sent) == PEOPLE and Recipient.objects.filter(state="sent").count() == PEOPLE
    twice = [to for to, count in sent.items() if count > 1]
    # Each of a worker's two processes may have been in the middle of one.
    assert max(sent.values()) <= 2 and len(twice) <= 2 * kills
    assert {*twice} <= set(Recipient.objects.filter(perhaps_twice=True).values_list("email", flat=True))
