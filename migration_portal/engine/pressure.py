"""Is the legacy database well enough to be read from? Asked before work is handed out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from migration_portal.engine.queries import queries


@dataclass(frozen=True)
class Limits:
    """Seconds; above any of them, the run pauses automatically."""

    transaction_seconds: float
    replica_lag_seconds: float
    latency_seconds: float


def reason_to_hold(legacy: Connection[Any], limits: Limits) -> str:
    """Why not to read from legacy just now, in one sentence; empty when all is well."""
    started = time.monotonic()
    with legacy.transaction():
        row = legacy.execute(queries("pressure")["signs"]).fetchone()
    latency = time.monotonic() - started
    assert row is not None
    oldest, lag = (float(value or 0) for value in row)
    if oldest > limits.transaction_seconds:
        return f"A transaction has been open on the legacy database for {oldest:.0f} s (limit {limits.transaction_seconds:.0f} s)."
    if lag > limits.replica_lag_seconds:
        return f"A replica of the legacy database lags {lag:.0f} s (limit {limits.replica_lag_seconds:.0f} s)."
    if latency > limits.latency_seconds:
        return f"The legacy database took {latency:.1f} s to answer (limit {limits.latency_seconds:.1f} s)."
    return ""
