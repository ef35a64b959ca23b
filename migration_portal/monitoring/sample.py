"""Sampling the host and the databases, once a minute."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
import structlog
from django.conf import settings
from psycopg.rows import dict_row

from migration_portal import databases
from migration_portal.catchup.models import FlowStatus
from migration_portal.engine.queries import named
from migration_portal.monitoring.models import Sample
from migration_portal.monitoring.parts import QUEUES
from migration_portal.refusal import Refusal

log = structlog.get_logger(__name__)
_QUERIES = named(Path(__file__).parent / "monitoring.sql")
SIDES = ("legacy", "iam", "portal")


def sample() -> int:
    """Everything that can be measured now; what is away has no figure. Returns how many figures."""
    found = [
        Sample(source=source, name=name, value=value)
        for source, figures in _figures()
        for name, value in figures.items()
    ]
    Sample.objects.bulk_create(found)
    return len(found)


def _figures() -> Iterator[tuple[str, dict[str, float]]]:
    yield f"host {socket.gethostname()}"[:40], _host()
    for side in SIDES:
        try:
            yield side, database(side)
        except (Refusal, psycopg.Error) as error:
            log.warning("not_sampled", side=side, error=str(error).splitlines()[0])
    for flow in FlowStatus.objects.all():
        yield f"catch-up {flow.direction}", {"entries": float(flow.entries), "lag_s": flow.lag_seconds}
    try:
        yield "redis", _redis()
    except redis.RedisError as error:
        log.warning("not_sampled", side="redis", error=str(error))


def database(side: str) -> dict[str, float]:
    """Sessions, locks, transactions, cache, dead rows, replication and size. Raises Refusal, psycopg.Error."""
    with databases.of_side(side, "sample") as connection, connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["database"]).fetchone()
    assert row is not None
    return dict(row)


def slow_statements(side: str) -> list[dict[str, Any]] | None:
    """The ten that took the most time; None where pg_stat_statements is not there. Raises Refusal, psycopg.Error."""
    with databases.of_side(side, "sample") as connection, connection.cursor(row_factory=dict_row) as cursor:
        there = cursor.execute("SELECT to_regclass('pg_stat_statements') IS NOT NULL AS there").fetchone()
        if not there or not there["there"]:
            return None
        return cursor.execute(_QUERIES["slow_statements"]).fetchall()


def _host() -> dict[str, float]:
    """Of the machine that samples: the workers' own."""
    disk = psutil.disk_usage(str(Path(settings.BASE_DIR)))
    ours = [
        process.info["memory_info"]
        for process in psutil.process_iter(["name", "memory_info", "cmdline"])
        if _ours(process)
    ]
    return {
        "cpu_percent": psutil.cpu_percent(interval=0.2), "load": psutil.getloadavg()[0],
        "memory_percent": psutil.virtual_memory().percent, "disk_percent": disk.percent,
        "processes": float(len(ours)), "processes_bytes": float(sum(memory.rss for memory in ours if memory)),
    }  # fmt: skip


def _ours(process: psutil.Process) -> bool:
    command = process.info["cmdline"] or []
    return any("celery" in part or "config." in part for part in command[:4])


def _redis() -> dict[str, float]:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as connection:
        about: Any = connection.info()
        waiting = {f"waiting_{queue}": float(connection.llen(queue)) for queue in QUEUES}  # type: ignore[arg-type]
    return {"bytes": float(about["used_memory"]), "clients": float(about["connected_clients"]), **waiting}
