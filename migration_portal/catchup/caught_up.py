"""Until when the IAM has all that was written in legacy: what a tenant's reads may be answered by, before its writes move."""

from __future__ import annotations

import time
from datetime import datetime

from django.db import connection

from flags import reads
from flags.models import TenantHome
from migration_portal.engine import capture_queue
from migration_portal.engine.catchup.flow import Flow
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.runs.models import Run
from migration_portal.runs.states import State

EVERY_SECONDS = 0.25


class Teller:
    """Says so, again and again. A tenant counts once this loop has known for `reads.BEGIN_SECONDS` that it reads first: its row
    does not say when that was committed, and so when every process knew.
    """

    def __init__(self) -> None:
        self._told = float("-inf")
        self._seen: dict[tuple[str, datetime], float] = {}

    def tell(self, flow: Flow, run: Run) -> None:
        """Where a tenant's reads depend on it. What cannot be said of anybody is not said: the last word is soon too old."""
        now = time.monotonic()
        if now - self._told < EVERY_SECONDS or not reads.wanted():
            return
        self._told = now
        if not Run.objects.filter(pk=run.pk, state=State.COMPLETED).exists() or run.differing:
            return
        # The clock is asked first: what was committed by then is applied, or waits.
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            at: datetime = cursor.fetchone()[0]
        waiting = capture_queue.whose(flow.queue)
        if waiting is None:
            return
        reading = list(TenantHome.objects.filter(reads_since__isnull=False))
        both = {id.lower() for tenant in reading for id in (tenant.tenant, tenant.legacy_tenant)}
        about = {"run": run.key, "tenants": list(both)}
        undecided = {row["tenant"] for row in rows(flow.ledger, queries("quarantine")["whose"], about)}
        if None in undecided:
            return  # a row of everybody's, or of nobody knows whom
        behind = waiting | undecided
        ready = [tenant.tenant for tenant in self._known_long_enough(reading, now)
                 if not behind & {tenant.tenant.lower(), tenant.legacy_tenant.lower()}]  # fmt: skip
        reads.caught_up(at, ready)

    def _known_long_enough(self, reading: list[TenantHome], now: float) -> list[TenantHome]:
        keys = {(tenant.tenant, tenant.reads_since): tenant for tenant in reading if tenant.reads_since}
        self._seen = {key: self._seen.get(key, now) for key in keys}
        return [tenant for key, tenant in keys.items() if now - self._seen[key] >= reads.BEGIN_SECONDS]
