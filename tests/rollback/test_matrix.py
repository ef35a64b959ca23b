"""The decision matrix as pure logic: properties, and months that are replayed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration_portal.rollback.matrix import DEFAULTS, SEVERITIES, Action, Measured, Metric, Rule, evaluate

pairs = st.integers(0, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
windows = st.fixed_dictionaries(
    {1: st.lists(pairs, min_size=6, max_size=6), 5: st.lists(pairs, min_size=6, max_size=6)}
)
counts = st.none() | st.integers(0, 50)
measurements = st.builds(
    Measured, windows=windows, p95=st.none() | st.floats(0, 5000), p95_requests=st.integers(0, 5000),
    baseline_p95=st.none() | st.floats(0, 5000), integrity_findings=counts, complaints=counts, ui_complaints=counts,
    migration_troubles=counts,
)  # fmt: skip


def rank(severity: str) -> int:
    return SEVERITIES.index(severity)


def test_no_data_never_acts() -> None:
    verdict = evaluate(DEFAULTS, Measured())
    assert (verdict.severity, verdict.action, verdict.known) == ("none", Action.NONE, False)


@pytest.mark.parametrize(
    ("measured", "action"),
    [
        (Measured(windows={5: [(1000, 100)] * 2}), Action.IMMEDIATE),
        (Measured(windows={5: [(1000, 100), (1000, 0)]}), Action.NONE),
        (Measured(windows={5: [(99, 99)] * 2}), Action.NONE),
        (Measured(windows={1: [(20, 15)]}), Action.IMMEDIATE),
        (Measured(p95=401, baseline_p95=200, p95_requests=200), Action.IMMEDIATE),
        (Measured(p95=401, baseline_p95=200, p95_requests=199), Action.NONE),
        (Measured(p95=401, p95_requests=5000), Action.NONE),
        (Measured(integrity_findings=1), Action.IMMEDIATE),
        (Measured(complaints=10), Action.GRADUAL),
        (Measured(complaints=9), Action.NONE),
        (Measured(ui_complaints=3), Action.FRONT_END),
        (Measured(migration_troubles=1), Action.DATABASE),
    ],
)
def test_each_row_of_the_two_documents_asks_for_its_action(measured: Measured, action: str) -> None:
    assert evaluate(DEFAULTS, measured).action == action


@given(measurements)
def test_the_worst_severity_wins_in_any_order(measured: Measured) -> None:
    verdict = evaluate(DEFAULTS, measured)
    alone = [evaluate([rule], measured).severity for rule in DEFAULTS]
    assert rank(verdict.severity) == max(map(rank, alone))
    backwards = evaluate(DEFAULTS[::-1], measured)
    assert (backwards.severity, backwards.action) == (verdict.severity, verdict.action)


@given(measurements, st.integers(0, 5), st.sampled_from([1, 5]), st.integers(1, 500))
def test_more_failures_are_never_milder(measured: Measured, place: int, length: int, more: int) -> None:
    requests, failures = measured.windows[length][place]
    worse = {key: list(value) for key, value in measured.windows.items()}
    worse[length][place] = (requests, min(requests, failures + more))
    assert rank(evaluate(DEFAULTS, replace(measured, windows=worse)).severity) >= rank(
        evaluate(DEFAULTS, measured).severity
    )


@given(
    measurements,
    st.sampled_from(["p95", "integrity_findings", "complaints", "ui_complaints", "migration_troubles"]),
    st.integers(0, 900),
)
def test_more_of_anything_else_is_never_milder(measured: Measured, name: str, more: int) -> None:
    before = getattr(measured, name)
    worse = replace(measured, **{name: more if before is None else before + more})
    assert rank(evaluate(DEFAULTS, worse).severity) >= rank(evaluate(DEFAULTS, measured).severity)


@given(measurements)
@settings(max_examples=50)
def test_a_verdict_has_reasons_exactly_when_it_asks_for_something(measured: Measured) -> None:
    verdict = evaluate(DEFAULTS, measured)
    assert bool(verdict.reasons) == (verdict.action != Action.NONE)


def minutes(chance: random.Random, how_many: int, requests: int, rate: float) -> list[tuple[int, int]]:
    return [(requests, sum(chance.random() < rate for _ in range(requests))) for _ in range(how_many)]


def seen_at(series: list[tuple[int, int]], end: int) -> Measured:
    """What is measured when minute `end` is over."""
    latest = series[max(0, end - 29) : end + 1][::-1]
    latest += [(0, 0)] * (30 - len(latest))
    fives = [latest[n : n + 5] for n in range(0, 30, 5)]
    added = [(sum(r for r, _ in five), sum(f for _, f in five)) for five in fives]
    return Measured(windows={1: latest[:6], 5: added}, complaints=0, integrity_findings=0)


def test_one_per_cent_of_errors_at_twenty_requests_a_minute_rolls_nothing_back_in_28_days() -> None:
    series = minutes(random.Random(1), 28 * 24 * 60, 20, 0.01)
    asked = [end for end in range(len(series)) if evaluate(DEFAULTS, seen_at(series, end)).action != Action.NONE]
    assert asked == []


@pytest.mark.parametrize("seed", range(20))
def test_a_burst_of_ten_per_cent_is_caught_within_two_minutes(seed: int) -> None:
    chance = random.Random(seed)
    series = minutes(chance, 60, 600, 0.01) + minutes(chance, 2, 600, 0.10)
    assert evaluate(DEFAULTS, seen_at(series, 59)).action == Action.NONE
    assert evaluate(DEFAULTS, seen_at(series, 61)).action == Action.IMMEDIATE


@pytest.mark.parametrize(
    "fields",
    [
        {"metric": "luck"},
        {"severity": "grave"},
        {"action": "pray"},
        {"threshold": -1},
        {"threshold": float("inf")},
        {"threshold": float("nan")},
        {"minutes": 3},
        {"running": 7},
        {"least": -1},
    ],
)
def test_what_is_no_rule_is_refused(fields: dict[str, object]) -> None:
    good: dict[str, object] = {
        "name": "x",
        "metric": Metric.ERROR_RATE,
        "threshold": 1,
        "severity": "low",
        "action": Action.GRADUAL,
    }
    with pytest.raises(ValueError, match="x: "):
        Rule(**(good | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(("severity", "action"), [("none", "immediate"), ("critical", "none")])
def test_what_asks_for_an_action_has_a_severity(severity: str, action: str) -> None:
    with pytest.raises(ValueError, match="the other way round"):
        Rule("x", Metric.COMPLAINTS, 1, severity, action)
