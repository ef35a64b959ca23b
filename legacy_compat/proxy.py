"""Passing a request on to the legacy system unchanged, and its answer back; a fault of its becomes a clear 502 or 504."""

from __future__ import annotations

import threading
import time

import structlog
import urllib3
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from legacy_compat.contracts.shapes import Answer

log = structlog.get_logger(__name__)
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "content-length",
})  # fmt: skip
DOWN = Answer(502, {"detail": "The legacy system does not answer"})
SLOW = Answer(504, {"detail": "The legacy system did not answer in time"})
_FAILURES, _REST_SECONDS = 5, 5.0
_pool = urllib3.PoolManager(num_pools=4, maxsize=32, block=False, retries=False)
_lock = threading.Lock()
_failures, _closed_until = 0, 0.0


def forward(request: HttpRequest) -> HttpResponse | Answer:
    """The upstream's answer, or DOWN or SLOW. After `_FAILURES` in a row it is left alone for a moment."""
    if not settings.LEGACY_UPSTREAM_URL or time.monotonic() < _closed_until:
        return DOWN
    headers = {
        name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP | _named_hops(request)
    }
    headers["X-Forwarded-For"] = request.META.get("REMOTE_ADDR", "")
    try:
        found = _pool.request(
            request.method or "GET", settings.LEGACY_UPSTREAM_URL.rstrip("/") + request.get_full_path(),
            body=request.body or None, headers=headers, redirect=False, preload_content=True, decode_content=False,
            timeout=urllib3.Timeout(connect=2, read=settings.LEGACY_UPSTREAM_SECONDS),
        )  # fmt: skip
    except urllib3.exceptions.TimeoutError:
        return _failed(SLOW)
    except urllib3.exceptions.HTTPError:
        return _failed(DOWN)
    _succeeded()
    answer = HttpResponse(found.data, status=found.status)
    del answer["Content-Type"]
    for name, value in found.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            answer[name] = value
    return answer


def _named_hops(request: HttpRequest) -> set[str]:
    return {name.strip().lower() for name in request.headers.get("Connection", "").split(",") if name.strip()}


def _failed(answer: Answer) -> Answer:
    global _failures, _closed_until
    with _lock:
        _failures += 1
        if _failures >= _FAILURES:
            _failures, _closed_until = 0, time.monotonic() + _REST_SECONDS
            log.warning("legacy_upstream_left_alone", seconds=_REST_SECONDS)
    return answer


def _succeeded() -> None:
    global _failures, _closed_until
    with _lock:
        _failures, _closed_until = 0, 0.0
