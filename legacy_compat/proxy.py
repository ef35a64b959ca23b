"""Passing a request on to the legacy system unchanged, and its answer back; a fault of its becomes a clear 502 or 504."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import structlog
import urllib3
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from legacy_compat.contracts.shapes import Answer
from legacy_compat.reading import MOST_BYTES

log = structlog.get_logger(__name__)
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "content-length",
})  # fmt: skip
DOWN = Answer(502, {"detail": "The legacy system does not answer"})
SLOW = Answer(504, {"detail": "The legacy system did not answer in time"})
_WHOLE_BYTES = 1_000_000
_FAILURES, _REST_SECONDS = 5, 5.0
_pool = urllib3.PoolManager(num_pools=4, maxsize=32, block=False, retries=False)
_lock = threading.Lock()
_failures, _closed_until = 0, 0.0


def forward(request: HttpRequest) -> HttpResponse | StreamingHttpResponse | Answer:
    """The upstream's answer, or DOWN or SLOW. After `_FAILURES` in a row it is left alone for a moment.

    An answer of up to `_WHOLE_BYTES` is read whole, so that a fault in its middle is a clear 502; what is
    longer is passed on as it comes, and breaks off where the upstream does.
    """
    if not settings.LEGACY_UPSTREAM_URL or time.monotonic() < _closed_until:
        return DOWN
    headers = {
        name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP | _named_hops(request)
    }
    headers["X-Forwarded-For"] = request.META.get("REMOTE_ADDR", "")
    length = int(request.headers.get("Content-Length") or 0)
    if length > MOST_BYTES:
        headers["Content-Length"] = str(length)
    try:
        found = _pool.request(
            request.method or "GET", settings.LEGACY_UPSTREAM_URL.rstrip("/") + request.get_full_path(),
            body=request if length > MOST_BYTES else request.body or None,
            headers=headers, redirect=False, preload_content=False, decode_content=False,
            timeout=urllib3.Timeout(connect=2, read=settings.LEGACY_UPSTREAM_SECONDS),
        )  # fmt: skip
        begun = found.read(_WHOLE_BYTES)
        # Shorter than asked is the end of it: reading on shows whether it ended as it said it would.
        whole = len(begun) < _WHOLE_BYTES and not found.read(1)
    except urllib3.exceptions.TimeoutError:
        return _failed(SLOW)
    except urllib3.exceptions.HTTPError:
        return _failed(DOWN)
    _succeeded()
    answer: HttpResponse | StreamingHttpResponse
    if whole:
        found.release_conn()
        answer = HttpResponse(begun, status=found.status)
    else:
        answer = StreamingHttpResponse(_stream(begun, found), status=found.status)
        if "Content-Length" in found.headers:
            answer["Content-Length"] = found.headers["Content-Length"]
    del answer["Content-Type"]
    for name, value in found.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            answer[name] = value
    return answer


def _stream(begun: bytes, found: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    yield begun
    yield from found.stream(65_536)
    found.release_conn()


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
