"""How fast and how well each endpoint answers, by the minute and by the home that answered: counted in Redis, by every process.

Latencies go into buckets whose edges grow by a factor: any quantile read from them is off by at most 2 % (DDSketch: Masson, Rim and
Lee 2019, §2.1), and the buckets of minutes, endpoints and processes simply add up. A minute is one hash, of which a field is
`home⇥endpoint⇥what`; it stays for some hours, until the portal has rolled it up.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings

from legacy_compat.background import Background

log = structlog.get_logger(__name__)
ERROR = 0.02
"""Of a quantile, relative."""
_GROWTH = (1 + ERROR) / (1 - ERROR)
_SMALLEST = 0.01
"""Milliseconds; what is faster counts as that."""
_KEPT_SECONDS = 3 * 3600
KINDS = ("ok", "rejected", "failed", "timed_out")
"""How an answer ended: the second is the client's doing."""
_TIMED_OUT = frozenset({504})
_TOTAL = "metrics:total"
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Call:
    """One answer: when it began (seconds since 1970), who answered, what was asked, how it ended and how long it took."""

    at: float
    home: str
    endpoint: str
    status: int
    milliseconds: float


def bucket(milliseconds: float) -> int:
    """The number of the latency's bucket."""
    return math.ceil(math.log(max(milliseconds, _SMALLEST)) / math.log(_GROWTH))


def latency_of(number: int) -> float:
    """The milliseconds that stand for a bucket, at most ERROR away from each latency in it."""
    return float(2 * _GROWTH**number / (_GROWTH + 1))


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """Of the latencies in the buckets, in milliseconds; None where there are none."""
    total, seen = sum(buckets.values()), 0
    for number in sorted(buckets):
        seen += buckets[number]
        if seen >= share * total:
            return latency_of(number)
    return None


def named(method: str, endpoint: str) -> str:
    """The endpoint with its method; what a client makes up is all one, or it would fill Redis with names."""
    return f"{method if method in _METHODS else 'OTHER'} {endpoint}"[:100]


def note(call: Call) -> None:
    """Count it, later."""
    background.put(call)


def kind(status: int) -> str:
    """Which of KINDS the status is."""
    if status in _TIMED_OUT:
        return "timed_out"
    return "failed" if status >= 500 else "rejected" if status >= 400 else "ok"


def minute(number: int) -> dict[tuple[str, str, str], float]:
    """What was counted in a minute (of minutes since 1970): (home, endpoint, what) → how much. Raises redis.RedisError."""
    return _read(_key(number))


def totals() -> dict[tuple[str, str, str], float]:
    """The same since the beginning. Raises redis.RedisError."""
    return _read(_TOTAL)


def _read(key: str) -> dict[tuple[str, str, str], float]:
    found: Any = _redis().hgetall(key)
    return {tuple(field.split("\t")): float(value) for field, value in found.items()}


def _count(calls: Sequence[Call]) -> None:
    counts: defaultdict[tuple[str, str], float] = defaultdict(float)
    for call in calls:
        for field, value in _fields(call).items():
            counts[_key(int(call.at // 60)), field] += value
            if "\tb" not in field:
                counts[_TOTAL, field] += value
    pipeline = _redis().pipeline(transaction=False)
    for (key, field), value in counts.items():
        pipeline.hincrbyfloat(key, field, round(value, 3))
    for key in {key for key, _ in counts} - {_TOTAL}:
        pipeline.expire(key, _KEPT_SECONDS)
    try:
        pipeline.execute()
    except redis.RedisError as error:
        log.warning("calls_not_counted", calls=len(calls), error=str(error))


def _fields(call: Call) -> dict[str, float]:
    of = f"{call.home}\t{call.endpoint}\t"
    return {f"{of}{kind(call.status)}": 1, f"{of}ms": call.milliseconds, f"{of}b{bucket(call.milliseconds)}": 1}


def _key(number: int) -> str:
    return f"metrics:{number}"


def this_minute() -> int:
    return int(time.time() // 60)


def _redis() -> redis.Redis:
    return _connected(settings.REDIS_URL)


@cache
def _connected(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True, socket_timeout=1, socket_connect_timeout=1)


background = Background("calls", _count, most=50_000)
