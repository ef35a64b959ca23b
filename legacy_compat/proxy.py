"""Passing a request on to the legacy system as it came, and its answer back; its faults become a clear 502 or 504."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from http.cookies import CookieError, SimpleCookie
from typing import Any

import structlog
import urllib3
from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from legacy_compat import paths
from legacy_compat.call import MOST_BYTES
from legacy_compat.contracts.shapes import Answer

log = structlog.get_logger(__name__)
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "content-length",
})  # fmt: skip
_OURS = frozenset({"cookie", "forwarded", "x-real-ip"})
"""Set by us, whatever a client says; all that begins with x-forwarded- too."""
_FOR_THE_ORIGIN = frozenset({
    "clear-site-data", "service-worker-allowed", "alt-svc", "strict-transport-security", "public-key-pins",
})  # fmt: skip
"""What would speak for the console, which shares our origin."""
DOWN = Answer(502, {"detail": "The legacy system does not answer"})
SLOW = Answer(504, {"detail": "The legacy system did not answer in time"})
_WHOLE_BYTES = 1_000_000
_FAILURES, _REST_SECONDS = 5, 5.0
_target: ContextVar[str] = ContextVar("target")


class _AsItCame:
    """A connection that asks for the target as the client wrote it: urllib3 would mend its percent-encodings."""

    def putrequest(self, method: str, url: str, *arguments: Any, **options: Any) -> None:
        super().putrequest(method, _target.get(), *arguments, **options)  # type: ignore[misc]


class _Http(_AsItCame, HTTPConnection):
    pass


class _Https(_AsItCame, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


_pool = urllib3.PoolManager(num_pools=4, maxsize=32, block=False, retries=False)
_pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
_lock = threading.Lock()
_failures, _closed_until = 0, 0.0


def forward(request: HttpRequest, client: str = "") -> HttpResponse | StreamingHttpResponse | Answer:
    """The upstream's answer, or DOWN or SLOW. After `_FAILURES` in a row it is not asked for a moment.

    An answer of up to `_WHOLE_BYTES` is read whole, so that a fault in its middle is a clear 502; what is
    longer is passed on as it comes, and breaks off where the upstream does.
    """
    if not reachable():
        return DOWN
    try:
        upstream = _ask(request, client)
        begun = upstream.read(_WHOLE_BYTES)
        # Shorter than asked is the end of it: reading on shows whether it ended as it said it would.
        whole = len(begun) < _WHOLE_BYTES and not upstream.read(1)
    except NewConnectionError:  # nobody listens; to urllib3 this is a kind of time-out
        return _failed(DOWN)
    except urllib3.exceptions.TimeoutError:
        return _failed(SLOW)
    except urllib3.exceptions.HTTPError:
        return _failed(DOWN)
    _succeeded()
    return _passed_on(upstream, begun, whole=whole)


def reachable() -> bool:
    """Whether there is a legacy system to ask."""
    return configured() and time.monotonic() >= _closed_until


def configured() -> bool:
    return bool(settings.LEGACY_UPSTREAM_URL)


def ask(path: str, token: str) -> int:
    """The status with which legacy answers a read of ours; 0 when it does not."""
    if not reachable():
        return 0
    base = urllib3.util.parse_url(settings.LEGACY_UPSTREAM_URL.rstrip("/"))
    _target.set((base.path or "") + path)
    try:
        answer = _pool.request(
            "GET", str(base), headers={"Authorization": f"Bearer {token}"}, redirect=False,
            timeout=urllib3.Timeout(connect=2, read=settings.LEGACY_UPSTREAM_SECONDS),
        )  # fmt: skip
    except urllib3.exceptions.HTTPError:
        _failed(DOWN)
        return 0
    _succeeded()
    return answer.status


def _ask(request: HttpRequest, client: str) -> urllib3.BaseHTTPResponse:
    headers = _headers(request)
    if client and "Authorization" not in request.headers:
        headers["Authorization"] = f"Bearer {client}"
    length = int(request.headers.get("Content-Length") or 0)
    if length > MOST_BYTES:
        headers["Content-Length"] = str(length)
    base = urllib3.util.parse_url(settings.LEGACY_UPSTREAM_URL.rstrip("/"))
    _target.set((base.path or "") + paths.raw(request))
    return _pool.request(
        request.method or "GET", str(base), body=request if length > MOST_BYTES else request.body or None,
        headers=headers, redirect=False, preload_content=False, decode_content=False,
        timeout=urllib3.Timeout(connect=2, read=settings.LEGACY_UPSTREAM_SECONDS),
    )  # fmt: skip


def _headers(request: HttpRequest) -> dict[str, str]:
    """The client's, but for those of its connection to us and those that only we can know."""
    hops = _HOP_BY_HOP | _OURS | _named_hops(request)
    headers = {
        name: value for name, value in request.headers.items()
        if name.lower() not in hops and not name.lower().startswith("x-forwarded-")
    }  # fmt: skip
    if theirs := [f"{name}={value}" for name, value in request.COOKIES.items() if name not in _our_cookies()]:
        headers["Cookie"] = "; ".join(theirs)
    address = request.META.get("REMOTE_ADDR", "")
    return headers | {
        "X-Forwarded-For": address, "X-Real-IP": address, "X-Forwarded-Proto": request.scheme or "http",
        "X-Forwarded-Host": request.get_host(),
    }  # fmt: skip


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
        if name.lower() == "set-cookie":
            _keep_cookie(answer, value)
        elif name.lower() not in _HOP_BY_HOP | _FOR_THE_ORIGIN:
            answer[name] = value
    if not answer.get("Content-Type", "").startswith("application/json"):
        # Its pages stand on the console's origin: in a browser they may do nothing there.
        answer["Content-Security-Policy"] = "sandbox"
        answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _keep_cookie(answer: HttpResponse | StreamingHttpResponse, sent: str) -> None:
    """Legacy's cookies come back to legacy's own paths, under none of our names."""
    cookie: SimpleCookie = SimpleCookie()
    try:
        cookie.load(sent)
    except CookieError:
        return
    for name, morsel in cookie.items():
        if name not in _our_cookies():
            morsel["path"], morsel["domain"] = "/api/", ""
            answer.cookies[name] = morsel


def _our_cookies() -> frozenset[str]:
    return frozenset({
        settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME, CookieStorage.cookie_name,
    })  # fmt: skip


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
