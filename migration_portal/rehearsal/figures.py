"""What is known of production: how much it has grown since a backup, and how fast it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from migration_portal import databases
from migration_portal.backups.models import Backup
from migration_portal.engine.queries import named
from migration_portal.plan.loader import load

QUERIES = named(Path(__file__).parent / "rehearsal.sql")


def production(backup: Backup) -> dict[str, Any]:
    """`growth`: by how much each target table's source has grown since the backup, by legacy's own statistics.

    `writes_per_second`: of the busiest minute of a week, by the request log or by what catch-up applied.
    Raises Refusal, psycopg.Error.
    """
    plan, then = load(settings.MIGRATION_PLAN), backup.manifest["content"]["tables"]
    with databases.legacy("rehearsal") as legacy:
        now = dict(legacy.execute(QUERIES["rows"], {"schema": plan.source_schema}).fetchall())
    growth = {}
    for table in plan.tables:
        was = sum(then.get(f"{plan.source_schema}.{source}", [0])[0] for source in table.made_of)
        known = sum(max(now.get(source, 0), 0) for source in table.made_of)
        growth[table.target] = round(known / was, 4) if was and known > 0 else 1.0
    return {"growth": growth, "writes_per_second": round(max(_rate("requested"), _rate("captured")), 2)}


def _rate(query: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[query].as_string())
        return float(cursor.fetchone()[0])
