"""Random walks through the console, as each role: never a bare error, and nothing changes that is on no record."""

from __future__ import annotations

import random

import pytest

from migration_portal.audit.models import Event
from tests.console import monkey
from tests.console.lived_in import ROLES, addresses
from tests.console.lived_in import lived_in as lived_in  # the fixture
from tests.console.test_doors import signed_in
from tests.sampling import ALL
from tests.world import World

WALKS = [(role, seed) for role in (*ROLES, "root") for seed in (range(1, 11) if ALL else (1, 2))]
STEPS = 200 if ALL else 30
_COME_AND_GO = ("audit_event", "django_session", "legacy_compat_legacyrequest", "otp_totp_totpdevice")
"""Tables that say who was here, not what is so; a second factor that is only proposed lets nobody in."""


@pytest.mark.parametrize(("role", "seed"), WALKS)
def test_whatever_is_pressed_is_answered_and_on_record(
    world: World, lived_in: dict[str, str], role: str, seed: int
) -> None:
    client = signed_in(role, raise_request_exception=False)
    trail: list[str] = []
    before, events = _state(world), Event.objects.count()
    places = [address for _, address in addresses(lived_in)]
    for step in monkey.walk(client, places, STEPS, random.Random(f"{role} {seed}")):
        trail.append(f"{step.answer.status_code} {step.said}")
        assert step.answer.status_code < 500 and step.allowed, "\n".join(trail[-5:])
        now, recorded = _state(world), Event.objects.count()
        changed = {table for table in now if now[table] != before.get(table)}
        assert not changed or recorded > events, f"{changed} changed unrecorded:\n" + "\n".join(trail[-5:])
        before, events = now, recorded


def _state(world: World) -> dict[str, str]:
    """Each table of the portal's and the IAM's databases, and a digest of what is in it."""
    found = {}
    for database in ("portal", "iam"):
        tables = world.sql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        each = [
            f"SELECT '{database} {name}', md5(string_agg(r::text, '' ORDER BY r::text)) FROM \"{name}\" AS r"
            for (name,) in tables
            if name not in _COME_AND_GO
        ]
        found.update(world.sql(database, " UNION ALL ".join(each)) if each else ())
    return found
