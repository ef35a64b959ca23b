"""The decision matrix: what was measured against rules, and the worst that any of them says. Pure.

A rule about a rate asks for the lower end of the Wilson interval (99 %), not for the rate: a handful of failures among a few
requests proves nothing. Rules that lack data say nothing; where no rule has requests to judge, the verdict is that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import inf
from typing import Any

from migration_portal.monitoring.windows import wilson_lower

SEVERITIES = ("none", "low", "medium", "high", "critical")
"""From the mildest to the worst."""


class Metric(StrEnum):
    ERROR_RATE = "error_rate"
    LATENCY = "p95_increase_ms"
    INTEGRITY = "integrity_findings"
    COMPLAINTS = "complaints"
    UI_COMPLAINTS = "ui_complaints"
    MIGRATION = "migration_troubles"


_OF_REQUESTS = (Metric.ERROR_RATE, Metric.LATENCY)


class Action(StrEnum):
    """What a rule asks for, from the smallest to the largest."""

    NONE = "none"
    FRONT_END = "front_end"
    GRADUAL = "gradual"
    PARTIAL = "partial"
    DATABASE = "database"
    IMMEDIATE = "immediate"
    FULL = "full"


@dataclass(frozen=True)
class Rule:
    """`threshold` is exceeded (rates, latency) or reached (counts). For rates: over `minutes`, `running` windows in a row,
    each of at least `least` requests; a latency is judged from as many requests.
    """

    name: str
    metric: str
    threshold: float
    severity: str
    action: str
    minutes: int = 5
    running: int = 1
    least: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for what is no rule."""
        if self.metric not in list(Metric) or self.action not in list(Action) or self.severity not in SEVERITIES:
            raise ValueError(f"{self.name}: unknown metric, action or severity")
        if not (0 <= self.threshold < inf and self.minutes in (1, 5) and 1 <= self.running <= 6 and self.least >= 0):
            raise ValueError(f"{self.name}: a number is out of range")
        if (self.severity == SEVERITIES[0]) != (self.action == Action.NONE):
            raise ValueError(f"{self.name}: what asks for an action has a severity, and the other way round")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """What is known now; None is not known. Windows are (requests, failures), the latest first."""

    windows: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """Minutes → that many minutes each."""
    p95: float | None = None
    p95_requests: int = 0
    baseline_p95: float | None = None
    integrity_findings: int | None = None
    complaints: int | None = None
    ui_complaints: int | None = None
    migration_troubles: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """The worst severity that a rule found, the largest action among those, and every reason.

    `known` is whether there were requests enough for a rule about them.
    """

    severity: str
    action: str
    reasons: tuple[str, ...]
    known: bool


DEFAULTS = (
    Rule("Error rate over 5 %", Metric.ERROR_RATE, 0.05, "critical", Action.IMMEDIATE, minutes=5, running=2, least=100),
    Rule("Errors surge", Metric.ERROR_RATE, 0.05, "critical", Action.IMMEDIATE, minutes=1, running=2, least=200),
    Rule("Service unavailable", Metric.ERROR_RATE, 0.2, "critical", Action.IMMEDIATE, minutes=1, running=1, least=20),
    Rule("Response time up by 200 ms", Metric.LATENCY, 200, "critical", Action.IMMEDIATE, least=200),
    Rule("Data integrity", Metric.INTEGRITY, 1, "critical", Action.IMMEDIATE),
    Rule("Ten complaints in an hour", Metric.COMPLAINTS, 10, "medium", Action.GRADUAL),
    Rule("High error rate", Metric.ERROR_RATE, 0.03, "high", Action.PARTIAL, minutes=5, running=2, least=100),
    Rule("Performance degradation", Metric.LATENCY, 100, "medium", Action.PARTIAL, least=200),
    Rule("UI issue", Metric.UI_COMPLAINTS, 3, "low", Action.FRONT_END),
    Rule("Migration issue", Metric.MIGRATION, 1, "high", Action.DATABASE),
)
"""Number 1 and 4 to 6 are the strategy document's; the others the capability plan's, with the numbers that it does not give."""


def evaluate(rules: Iterable[Rule], measured: Measured) -> Verdict:
    """What the rules say of it."""
    said = [(rule, value) for rule in rules if (value := _value(rule, measured)) is not None]
    hits = [(rule, value) for rule, value in said if _hit(rule, value)]
    worst = max((SEVERITIES.index(rule.severity) for rule, _ in hits), default=0)
    actions = [list(Action).index(Action(rule.action)) for rule, _ in hits if SEVERITIES.index(rule.severity) == worst]
    return Verdict(
        SEVERITIES[worst], str(list(Action)[max(actions, default=0)]),
        tuple(_reason(rule, value) for rule, value in hits), any(rule.metric in _OF_REQUESTS for rule, _ in said),
    )  # fmt: skip


def _value(rule: Rule, measured: Measured) -> float | None:
    """What the rule compares; None where there is too little data for it."""
    if rule.metric == Metric.ERROR_RATE:
        windows = list(measured.windows.get(rule.minutes, ()))[: rule.running]
        if len(windows) < rule.running or any(requests < max(rule.least, 1) for requests, _ in windows):
            return None
        return min(wilson_lower(failures, requests) for requests, failures in windows)
    if rule.metric == Metric.LATENCY:
        if measured.p95 is None or measured.baseline_p95 is None or measured.p95_requests < rule.least:
            return None
        return measured.p95 - measured.baseline_p95
    found = getattr(measured, rule.metric)
    return None if found is None else float(found)


def _hit(rule: Rule, value: float) -> bool:
    return value > rule.threshold if rule.metric in _OF_REQUESTS else value >= rule.threshold


def _reason(rule: Rule, value: float) -> str:
    if rule.metric == Metric.ERROR_RATE:
        return f"{rule.name}: at least {100 * value:.1f} % of requests failed"
    if rule.metric == Metric.LATENCY:
        return f"{rule.name}: the 95th percentile is {value:.0f} ms above the baseline"
    return f"{rule.name}: {value:.0f}"
