"""What the matrix would have said: of a day that is past, minute by minute, or of numbers that somebody types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration_portal.rollback.matrix import Measured, Rule, Verdict, evaluate
from migration_portal.rollback.measure import Past


@dataclass(frozen=True)
class Change:
    """From this minute on it would have been this verdict."""

    at: datetime
    verdict: Verdict


def replay(rules: list[Rule], *, since: datetime, until: datetime) -> Iterator[Change]:
    """Requests and complaints of that time against these rules; only where the verdict changes."""
    last: tuple[str, str, bool] | None = None
    past, at = Past.read(since, until), since
    while at <= until:
        verdict = evaluate(rules, past.measured(at))
        if (now := (verdict.severity, verdict.action, verdict.known)) != last:
            yield Change(at, verdict)
            last = now
        at += timedelta(minutes=1)


def of_numbers(
    rules: list[Rule], *, requests: int, failures: int, p95: float, baseline: float, findings: int, complaints: int
) -> Verdict:
    """As if every minute had been like this for half an hour. `requests` and `failures` are a minute's."""
    measured = Measured(
        windows={1: [(requests, failures)] * 6, 5: [(5 * requests, 5 * failures)] * 6}, p95=p95, p95_requests=5 * requests,
        baseline_p95=baseline, integrity_findings=findings, complaints=complaints, ui_complaints=0, migration_troubles=0,
    )  # fmt: skip
    return evaluate(rules, measured)
