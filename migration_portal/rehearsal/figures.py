"""What is known of production: how much it has grown since a backup, and how fast it is written."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection

from migration_portal import databases
from migration_portal.backups.models import Backup
from migration_portal.plan.loader import load

_ROWS = (
    "SELECT relname, reltuples::bigint FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p')"
)
_BUSIEST = """
    SELECT coalesce(max(writes), 0) / 60.0
      FROM (SELECT count(*) AS writes FROM legacy_compat_legacyrequest
             WHERE at > now() - interval '7 days' AND method NOT IN ('GET', 'HEAD', 'OPTIONS')
             GROUP BY date_trunc('minute', at)) AS minutes
"""
_CAPTURED = """
    SELECT coalesce(max(entries), 0) / 60.0
      FROM (SELECT sum(applied) AS entries FROM catchup_lagsample
             WHERE flow_id = 'forward' AND at > now() - interval '7 days'
             GROUP BY date_trunc('minute', at)) AS minutes
"""


def production(backup: Backup) -> dict[str, Any]:
    """`growth`: by how much each target table's source has grown since the backup, by legacy's own statistics.

    `writes_per_second`: of the busiest minute of a week, by the request log or by what catch-up applied.
    Raises Refusal, psycopg.Error.
    """
    plan, then = load(settings.MIGRATION_PLAN), backup.manifest["content"]["tables"]
    with databases.legacy("rehearsal") as legacy:
        now = dict(legacy.execute(_ROWS, [plan.source_schema]).fetchall())
    growth = {}
    for table in plan.tables:
        was, known = then.get(f"{plan.source_schema}.{table.source}", [0])[0], now.get(table.source, -1)
        growth[table.target] = round(known / was, 4) if was and known > 0 else 1.0
    return {"growth": growth, "writes_per_second": round(max(_rate(_BUSIEST), _rate(_CAPTURED)), 2)}


def _rate(statement: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return float(cursor.fetchone()[0])
