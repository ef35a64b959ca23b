"""Advisory locks: one at a time, and never held by the dead."""

from __future__ import annotations

from threading import Timer

import psycopg

from migration_portal.locks import Lock, only_one
from tests.servers import SERVER


def test_the_second_session_is_told_at_once() -> None:
    with psycopg.connect(SERVER, autocommit=True) as one, psycopg.connect(SERVER, autocommit=True) as two:
        with only_one(one, Lock.RUN, 7) as first, only_one(two, Lock.RUN, 7) as second:
            assert (first, second) == (True, False)
        with only_one(two, Lock.RUN, 7) as again:
            assert again


def test_who_has_patience_waits_for_the_first_to_end() -> None:
    with psycopg.connect(SERVER, autocommit=True) as one, psycopg.connect(SERVER, autocommit=True) as two:
        with only_one(one, Lock.RUN, 7) as first, only_one(two, Lock.RUN, 7, seconds=0.2) as second:
            assert (first, second) == (True, False)
        one.execute("SELECT pg_advisory_lock(%s, 7)", [int(Lock.RUN)])
        ending = Timer(0.3, one.close)
        ending.start()
        with only_one(two, Lock.RUN, 7, seconds=30) as again:
            assert again
        ending.join()


def test_another_key_is_another_lock() -> None:
    with (
        psycopg.connect(SERVER, autocommit=True) as one,
        psycopg.connect(SERVER, autocommit=True) as two,
        only_one(one, Lock.FOLLOW, 1),
        only_one(two, Lock.FOLLOW, 2) as second,
    ):
        assert second


def test_a_dead_session_holds_nobody_up() -> None:
    dead = psycopg.connect(SERVER, autocommit=True)
    dead.execute("SELECT pg_advisory_lock(%s)", [int(Lock.MOVES)])
    dead.close()
    with psycopg.connect(SERVER, autocommit=True) as other, only_one(other, Lock.MOVES, seconds=30) as alone:
        assert alone


def test_versions_agree_on_the_numbers() -> None:
    numbers = {lock.name: int(lock) for lock in Lock}
    assert numbers == {
        "RUN": 0x5167, "GUARD": 0x5168, "APPLY": 0x5169, "FOLLOW": 0x516A, "MOVES": 0x516B0001, "LEDGER": 0x51670001,
        "AUDIT": 0x51670002, "SCHEMA": 0x51670003, "ANCHORS": 0x51670004,
        "BACKUPS": 0x51670005, "CHECKPOINT": 0x51670006, "ROLL_BACK": 0x51670007, "HEALTH_REPORT": 0x51670008,
        "CAPTURE": 0x51670009, "WAVES": 0x51670010, "NOTICES": 0x51670011, "CLAIM": 0x51670012,
    }  # fmt: skip
