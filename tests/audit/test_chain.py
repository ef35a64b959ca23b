"""Nobody edits the log: the database refuses it, and the chain shows it."""

import threading

import psycopg
import pytest
from django.db import connection

from migration_portal.audit import chain
from migration_portal.audit.models import Event
from tests.world import World


def test_events_are_chained_and_verify(world: World) -> None:
    for n in range(5):
        chain.record("take_inventory", object_id=str(n), data={"count": n})
    verdict = chain.verify()
    assert (verdict.events, verdict.intact) == (5, True)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"]
)
def test_the_database_refuses_changes(world: World, statement: str) -> None:
    chain.record("start")
    with world.portal() as portal, pytest.raises(psycopg.Error, match="append-only"):
        portal.execute(statement)


@pytest.mark.parametrize(
    ("tampering", "why"),
    [
        ("UPDATE audit_event SET actor = 'somebody else' WHERE id = 2", "its fields were changed"),
        ("UPDATE audit_event SET data = '{\"count\": 99}' WHERE id = 3", "its fields were changed"),
        ("DELETE FROM audit_event WHERE id = 2", "missing"),
    ],
)
def test_tampering_past_the_triggers_breaks_the_chain(world: World, tampering: str, why: str) -> None:
    for n in range(4):
        chain.record("start", data={"count": n})
    with world.portal() as portal:
        portal.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        portal.execute(tampering)
    verdict = chain.verify()
    assert not verdict.intact
    assert why in verdict.why


def test_data_that_is_not_on_the_allow_list_is_refused(world: World) -> None:
    with pytest.raises(chain.UnknownData, match="password"):
        chain.record("start", data={"password": "x"})
    assert not Event.objects.exists()


def test_writers_at_the_same_time_make_one_chain(world: World) -> None:
    def write() -> None:
        for _ in range(10):
            chain.record("start")
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = chain.verify()
    assert (verdict.events, verdict.intact) == (40, True)


def test_a_transaction_that_is_recorded_last_keeps_nobody_from_recording(world: World) -> None:
    with chain.recorded_last():
        chain.record("pause")
        other = threading.Thread(target=_record_elsewhere)
        other.start()
        other.join(5)
        assert not other.is_alive()
        assert list(Event.objects.values_list("verb", flat=True)) == ["start"]
    assert list(Event.objects.order_by("id").values_list("verb", flat=True)) == ["start", "pause"]
    assert chain.verify().intact


def test_what_is_recorded_last_is_not_recorded_when_the_transaction_fails(world: World) -> None:
    with pytest.raises(ValueError, match="no"), chain.recorded_last():
        chain.record("pause")
        raise ValueError("no")
    chain.record("start")
    assert list(Event.objects.values_list("verb", flat=True)) == ["start"]


def test_joined_ones_are_one_transaction(world: World) -> None:
    with pytest.raises(ValueError, match="no"), chain.recorded_last():
        with chain.recorded_last():
            chain.record("pause")
        raise ValueError("no")
    assert not Event.objects.exists()


def _record_elsewhere() -> None:
    try:
        chain.record("start")
    finally:
        connection.close()
