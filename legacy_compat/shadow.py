"""Shadow reads: a share of the reads that legacy answered, answered by the IAM as well and compared field by field.

Only reads, only afterwards, and never through the network: a client cannot notice.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from legacy_compat import serve
from legacy_compat.background import Background
from legacy_compat.call import LegacyCall, read
from legacy_compat.contracts.protocol import Contract
from legacy_compat.served.licences import AskLegacy

_SECRET = ("password", "token", "secret", "payload", "license_key")
_MOST_FIELDS = 50
_SQL = Path(__file__).parent / "sql"
_COUNT_SHADOWED = (_SQL / "count_shadowed.sql").read_text(encoding="utf-8")
_MERGE_MISMATCH = (_SQL / "merge_mismatch.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Seen:
    """A read as it was asked, and what legacy said."""

    path: str
    query: str
    authorization: str
    tenant: str
    status: int
    body: bytes
    contract: Contract


def consider(request: HttpRequest, call: LegacyCall, status: int, body: bytes, contract: Contract) -> None:
    """Perhaps compare this read, later."""
    ours = call.method == "GET" and serve.template(call.path) is not None
    if ours and random.random() < settings.SHADOW_SHARE:  # noqa: S311 - a sample, no secret
        authorization = request.headers.get("Authorization", "")
        query = request.META.get("QUERY_STRING", "")
        background.put(Seen(call.path, query, authorization, call.tenant, status, body, contract))


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


def redacted(value: Any, name: str = "") -> Any:
    """The value as it may be kept: what stands under the name of a secret is not, however deep."""
    if any(part in name for part in _SECRET):
        return "(secret)"
    if isinstance(value, dict):
        return {key: redacted(inner, str(key)) for key, inner in value.items()}
    return [redacted(inner) for inner in value] if isinstance(value, list) else value


def _compare(reads: Sequence[Seen]) -> None:
    for seen in reads:
        request = HttpRequest()
        request.method = "GET"
        request.META = {"HTTP_AUTHORIZATION": seen.authorization, "QUERY_STRING": seen.query, "REMOTE_ADDR": ""}
        request.GET = QueryDict(seen.query)
        try:
            answer = serve.answer(read(request, seen.path, seen.contract), seen.contract)
        except AskLegacy:
            continue  # which has answered
        differing: dict[str, tuple[Any, Any]] = {}
        if answer.status != seen.status:
            differing["(status)"] = (seen.status, answer.status)
        else:
            try:
                said = json.loads(seen.body)
            except ValueError:
                said = None
            for field, one, other in differences(said, json.loads(answer.content)):
                differing.setdefault(field, (one, other))
        _note(seen, differing)


def _note(seen: Seen, differing: dict[str, tuple[Any, Any]]) -> None:
    now, endpoint = timezone.now(), serve.name_of(seen.path)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_SHADOWED, [now.date(), endpoint, int(not differing)])
        for field, (one, other) in sorted(differing.items())[:_MOST_FIELDS]:
            values = (str(redacted(value, field))[:200] for value in (one, other))
            cursor.execute(_MERGE_MISMATCH, [endpoint, field[:200], now, now, seen.tenant, *values])


background = Background("shadow-reads", _compare, most=500)
