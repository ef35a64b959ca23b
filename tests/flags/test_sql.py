"""The same decision as SQL."""

from __future__ import annotations

import random
from decimal import Decimal

from psycopg.sql import SQL, Literal

from flags.buckets import bucket
from flags.decide import Definition, Subject, decide
from flags.sql import condition
from tests import builders
from tests.world import World


def test_sql_and_python_cover_the_same_users_and_tenants(world: World) -> None:
    world.sample(users=300, tenants=12, rate=0)
    builders.migrated(world)
    chance = random.Random(5)
    with world.iam() as iam:
        people = iam.execute("SELECT id::text, tenant_id::text FROM users").fetchall()
        tenants = [row[0] for row in iam.execute("SELECT id::text FROM tenants").fetchall()]
        waves = {"pilot": tenants[:3]}
        for _ in range(25):
            flags = {
                name: Definition(
                    name, kind=chance.choice(("user", "tenant")), percentage=Decimal(chance.choice((0, 7.125, 50, 100))),
                    killed=chance.random() < 0.1, requires=("parent",) if name == "child" else (), salt=str(chance.random()),
                    targets=frozenset([f"user:{chance.choice(people)[0]}", f"tenant:{chance.choice(tenants)}"]),
                    excluded=frozenset([f"tenant:{chance.choice(tenants)}", f"user:{chance.choice(people)[0]}"]),
                    waves=frozenset(["pilot"] if chance.random() < 0.5 else []),
                )
                for name in ("parent", "child")
            }  # fmt: skip

            def wave(tenant: str) -> str:
                return "pilot" if tenant in waves["pilot"] else ""

            rows = iam.execute(
                SQL("SELECT id::text FROM users WHERE {}").format(
                    condition(flags, "child", waves, user="id", tenant="tenant_id")
                )
            )
            by_python = {u for u, t in people if decide(flags, "child", Subject(u, t, wave(t))).on}
            assert {row[0] for row in rows} == by_python
            rows = iam.execute(
                SQL("SELECT id::text FROM tenants WHERE {}").format(
                    condition(flags, "child", waves, user=None, tenant="id")
                )
            )
            by_python = {t for t in tenants if decide(flags, "child", Subject("", t, wave(t))).on}
            assert {row[0] for row in rows} == by_python


def test_sql_and_python_agree_at_the_very_edge_of_a_percentage(world: World) -> None:
    user = "0b5f0c9e-8c46-4d0e-9a52-6f1d0a3c7d11"
    place = bucket("f", "salt", "user", user)
    with world.iam() as iam:
        for percentage, covered in ((Decimal(place) / 1000, False), (Decimal(place + 1) / 1000, True)):
            flags = {"f": Definition("f", percentage=percentage, salt="salt")}
            asked = condition(flags, "f", {}, user="id", tenant="tenant_id")
            statement = SQL("SELECT count(*) FROM (VALUES ({}, 't')) AS u (id, tenant_id) WHERE {}")
            assert iam.execute(statement.format(Literal(user), asked)).fetchone() == (int(covered),)
            decision = decide(flags, "f", Subject(user, "t"))
            assert decision.on is covered
            under = "under" if covered else "not under"
            assert decision.why == f"Its user is in bucket {place / 1000:.3f}, {under} {percentage.normalize():f} %."
