"""Until when the IAM has all that was written in legacy: what a tenant's reads may be answered by, before its writes move."""

from __future__ import annotations

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


def tell(flow: Flow, run: Run) -> None:
    """Say so, where a tenant's reads depend on it. The clock is asked first: what was committed by then is applied, or waits.

    While it cannot be said of anybody, nothing is: what was said last is soon too old.
    """
    if not reads.wanted() or run.state != State.COMPLETED or run.differing:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
    waiting = capture_queue.whose(flow.queue)
    if waiting is None:
        return
    reading = {
        id.lower()
        for both in TenantHome.objects.filter(reads_since__isnull=False).values_list("tenant", "legacy_tenant")
        for id in both
    }
    undecided = rows(flow.ledger, queries("quarantine")["whose"], {"run": run.key, "tenants": list(reading)})
    behind = reading & (waiting | {row["tenant"] for row in undecided})
    reads.caught_up(at, sorted(behind))
