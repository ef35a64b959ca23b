"""What a rehearsal says about production: pure arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_portal.rehearsal.forecast import error, forecast


def measured(**more: Any) -> dict[str, Any]:
    table = {"source": 1000, "copied": 990, "quarantined": 10, "reasons": {"bad_email": 10}, "seconds": 4.0}
    return {
        "seconds": 10.0, "tables": {"users": table, "licenses": table | {"quarantined": 0, "reasons": {}}},
        "steps": [{"step": "verify:users", "seconds": 2.0}, {"step": "copy:users", "seconds": 4.0}],
        "grown": {"iam": 1_000_000, "legacy": 0, "wal": 2_000_000}, "memory": 300, "passed": True,
        "entries_per_second": 5000, "moves": [], "requests": {"ok": 90, "failed": 10}, "tenants": 40, "tenants_blocked": 3,
    } | more  # fmt: skip


def move(users: int, hold: float, to: str = "iam", state: str = "done", **more: Any) -> dict[str, Any]:
    about = {"tenant": "Acme", "users": users, "to": to, "state": state, "hold_ms": hold, "seconds": 0.5, "error": ""}
    return about | more


PRODUCTION = {"growth": {"users": 2.0, "licenses": 1.0}, "writes_per_second": 50.0}


def test_each_table_takes_as_much_longer_as_it_has_grown() -> None:
    found = forecast(measured(), PRODUCTION)
    assert (found.tables["users"].seconds, found.tables["licenses"].seconds) == (8.0, 4.0)
    assert (found.tables["users"].rows, found.quarantined, found.reasons) == (2000, 20, {"bad_email": 20})
    assert (found.seconds, found.verification_seconds, found.disk) == (15.0, 3.0, 1_500_000)


def test_what_catch_up_can_do_against_what_is_written() -> None:
    assert forecast(measured(), PRODUCTION).headroom == 100
    assert forecast(measured(), PRODUCTION | {"writes_per_second": 0}).headroom is None


def test_holds_by_size_and_direction() -> None:
    moves = [move(n, 10.0 * n) for n in (1, 2, 3, 50, 60, 70)] + [move(9, 40.0, to="legacy")]
    found = forecast(measured(moves=moves), PRODUCTION)
    assert [(hold.users, hold.to, hold.median_ms, hold.worst_ms) for hold in found.holds] == [
        (2, "iam", 15.0, 20.0), (50, "iam", 265.0, 500.0), (70, "iam", 650.0, 700.0), (9, "legacy", 40.0, 40.0),
    ]  # fmt: skip
    assert found.worst_hold_ms == 700.0 and found.moving_seconds == 20.0


def test_a_move_that_was_blocked_is_named_and_no_hold() -> None:
    found = forecast(measured(moves=[move(5, 0.0, state="blocked", error="rows differ")]), PRODUCTION)
    assert found.holds == () and found.moves_blocked == ("Acme: rows differ",)


def test_requests_that_failed_are_counted() -> None:
    found = forecast(measured(), PRODUCTION)
    assert (found.requests, found.requests_failed) == (100, 10)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_more_rows_never_take_less(one: float, other: float) -> None:
    small, large = sorted((one, other))
    times = [forecast(measured(), PRODUCTION | {"growth": {"users": growth}}).seconds for growth in (small, large)]
    assert times[0] <= times[1]


@pytest.mark.parametrize(("predicted", "real", "off"), [(12.0, 10.0, 0.2), (8.0, 10.0, -0.2), (1.0, 0.0, None)])
def test_how_far_off_it_was(predicted: float, real: float, off: float | None) -> None:
    assert error(predicted, real) == (None if off is None else pytest.approx(off))
