"""Shadow reads: a share of the reads that legacy answered, answered by the IAM as well and compared field by field.

Only reads, only afterwards, and never through the network: a client cannot notice.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from legacy_compat import serve
from legacy_compat.behind import Behind

_SECRET = ("password", "token", "secret", "payload", "license_key")
_MOST_FIELDS = 50
_COUNT = """
INSERT INTO legacy_compat_shadowed AS s (day, endpoint, compared, alike) VALUES (%s, %s, 1, %s)
ON CONFLICT (day, endpoint) DO UPDATE SET compared = s.compared + 1, alike = s.alike + excluded.alike
"""
_MERGE = """
INSERT INTO legacy_compat_mismatch AS m
    (endpoint, field, count, first_at, last_at, tenant, legacy, iam, state, decided_by, reason)
VALUES (%s, %s, 1, %s, %s, %s, %s, %s, 'open', '', '')
ON CONFLICT (endpoint, field) DO UPDATE SET count = m.count + 1, last_at = excluded.last_at,
    tenant = excluded.tenant, legacy = excluded.legacy, iam = excluded.iam
"""


@dataclass(frozen=True)
class Seen:
    """A read as it was asked, and what legacy said."""

    path: str
    query: str
    authorization: str
    tenant: str
    status: int
    body: bytes
    contract: ModuleType


def consider(request: HttpRequest, path: str, tenant: str, status: int, body: bytes, contract: ModuleType) -> None:
    """Perhaps compare this read, later."""
    if request.method == "GET" and random.random() < settings.SHADOW_SHARE:  # noqa: S311 - a sample, no secret
        authorization = request.headers.get("Authorization", "")
        query = request.META.get("QUERY_STRING", "")
        behind.put(Seen(path, query, authorization, tenant, status, body, contract))


def differences(legacy: Any, iam: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Fields that differ: (path with [] for every place in a list, legacy's value, the IAM's). Times are compared as times."""
    if isinstance(legacy, dict) and isinstance(iam, dict):
        for name in legacy.keys() | iam.keys():
            yield from differences(legacy.get(name), iam.get(name), f"{where}.{name}" if where else name)
    elif isinstance(legacy, list) and isinstance(iam, list):
        if len(legacy) != len(iam):
            yield f"{where}[] (how many)", len(legacy), len(iam)
        for one, other in zip(legacy, iam, strict=False):
            yield from differences(one, other, f"{where}[]")
    elif legacy != iam and _moment(legacy) != _moment(iam):
        yield where, legacy, iam


def _moment(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value


def _compare(reads: Sequence[Seen]) -> None:
    for seen in reads:
        request = HttpRequest()
        request.method = "GET"
        request.META = {"HTTP_AUTHORIZATION": seen.authorization, "QUERY_STRING": seen.query, "REMOTE_ADDR": ""}
        answer = serve.answer(request, seen.path, seen.contract)
        found: dict[str, tuple[Any, Any]] = {}
        if answer.status != seen.status:
            found["(status)"] = (seen.status, answer.status)
        else:
            try:
                said = json.loads(seen.body)
            except ValueError:
                said = None
            for field, one, other in differences(said, json.loads(answer.content)):
                found.setdefault(field, (one, other))
        _note(seen, found)


def _note(seen: Seen, found: dict[str, tuple[Any, Any]]) -> None:
    now, endpoint = timezone.now(), serve.name_of(seen.path)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [now.date(), endpoint, int(not found)])
        for field, (one, other) in sorted(found.items())[:_MOST_FIELDS]:
            secret = any(part in field for part in _SECRET)
            values = ("(secret)", "(secret)") if secret else (str(one)[:200], str(other)[:200])
            cursor.execute(_MERGE, [endpoint, field[:200], now, now, seen.tenant, *values])


behind = Behind("shadow-reads", _compare, most=500)
