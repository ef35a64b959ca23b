"""Passing a request on to the legacy system unchanged, and its answer back; its faults become a clear 502 or 504."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import structlog
import urllib3
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from legacy_compat.call import MOST_BYTES
from legacy_compat.contracts.shapes import Answer

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
    """The upstream's answer, or DOWN or SLOW. After `_FAILURES` in a row it is not asked for a moment.

    An answer of up to `_WHOLE_BYTES` is read whole, so that a fault in its middle is a clear 502; what is
    longer is passed on as it comes, and breaks off where the upstream does.
    """
    if not settings.LEGACY_UPSTREAM_URL or time.monotonic() < _closed_until:
        return DOWN
    try:
        upstream = _ask(request)
        begun = upstream.read(_WHOLE_BYTES)
        # Shorter than asked is the end of it: reading on shows whether it ended as it said it would.
        whole = len(begun) < _WHOLE_BYTES and not upstream.read(1)
    except urllib3.exceptions.TimeoutError:
        return _failed(SLOW)
    except urllib3.exceptions.HTTPError:
        return _failed(DOWN)
    _succeeded()
    return _passed_on(upstream, begun, whole=whole)


def _ask(request: HttpRequest) -> urllib3.BaseHTTPResponse:
    hops = _HOP_BY_HOP | _named_hops(request)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in hops}
    headers["X-Forwarded-For"] = request.META.get("REMOTE_ADDR", "")
    length = int(request.headers.get("Content-Length") or 0)
    if length > MOST_BYTES:
        headers["Content-Length"] = str(length)
    return _pool.request(
        request.method or "GET", settings.LEGACY_UPSTREAM_URL.rstrip("/") + request.get_full_path(),
        body=request if length > MOST_BYTES else request.body or None,
        headers=headers, redirect=False, preload_content=False, decode_content=False,
        timeout=urllib3.Timeout(connect=2, read=settings.LEGACY_UPSTREAM_SECONDS),
    )  # fmt: skip


def _passed_on(
    upstream: urllib3.BaseHTTPResponse, begun: bytes, *, whole: bool
) -> HttpResponse | StreamingHttpResponse:
    answer: HttpResponse | StreamingHttpResponse
    if whole:
        upstream.release_conn()
        answer = HttpResponse(begun, status=upstream.status)
    else:
        answer = StreamingHttpResponse(_stream(begun, upstream), status=upstream.status)
        if "Content-Length" in upstream.headers:
            answer["Content-Length"] = upstream.headers["Content-Length"]
    del answer["Content-Type"]
    for name, value in upstream.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            answer[name] = value
    return answer


def _stream(begun: bytes, upstream: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    yield begun
    yield from upstream.stream(65_536)
    upstream.release_conn()


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
