"""Who called what: the request log and the usage it adds up to, written after the answer has gone out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from legacy_compat import histograms
from legacy_compat.background import Background
from legacy_compat.histograms import Call
from legacy_compat.models import LegacyRequest

_COLUMNS = (
    "at", "request_id", "method", "endpoint", "version", "client", "home", "tenant", "user", "status", "milliseconds",
)  # fmt: skip
_COPY = SQL("COPY legacy_compat_legacyrequest ({}) FROM STDIN").format(SQL(", ").join(map(Identifier, _COLUMNS)))
_SQL = Path(__file__).parent / "sql"
_MERGE_USAGE = (_SQL / "merge_usage.sql").read_text(encoding="utf-8")


def request(made: LegacyRequest) -> None:
    """Record one request, later, and count it."""
    background.put(made)
    endpoint = histograms.named(made.method, made.endpoint)
    histograms.note(Call(made.at.timestamp(), made.home, endpoint, made.status, made.milliseconds))


def forget_old() -> int:
    """Delete requests older than LEGACY_LOG_DAYS; their usage stays. Returns how many."""
    old = timezone.now() - timedelta(days=settings.LEGACY_LOG_DAYS)
    return LegacyRequest.objects.filter(at__lt=old).delete()[0]


def _write(requests: Sequence[LegacyRequest]) -> None:
    calls: Counter[tuple[date, str, str, str]] = Counter()
    failures: Counter[tuple[date, str, str, str]] = Counter()
    for made in requests:
        key = (made.at.date(), made.client, made.version, made.endpoint)
        calls[key] += 1
        failures[key] += made.status >= 500
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(_COPY) as copy:
            for made in requests:
                copy.write_row([getattr(made, name) for name in _COLUMNS])
        # In one order everywhere, so that two processes never wait for each other in a circle.
        for used in sorted(calls, key=str):
            cursor.execute(_MERGE_USAGE, [*used, calls[used], failures[used], now])


background = Background("legacy-requests", _write, most=20_000)
