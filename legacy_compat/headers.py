"""What stands around an answer: the headers that the released service sends, and none of ours but those that the docs name."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from iam.throttles import Count

_OURS = ("X-Request-ID",)
_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_CORS_SECONDS = "600"
_SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


def middleware(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Outermost: what the site's other middleware adds to a legacy answer is taken off again."""

    def add_none(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if (names := getattr(response, "legacy_headers", None)) is not None:
            for name in [each for each in response.headers if each.lower() not in names]:
                if name not in _OURS:
                    del response.headers[name]
        return response

    return add_none


def close(response: HttpResponseBase) -> HttpResponseBase:
    """These are all: see `middleware`."""
    response.legacy_headers = {name.lower() for name in response.headers}  # type: ignore[attr-defined]
    return response


def served(request: HttpRequest, response: HttpResponse, count: Count | None) -> HttpResponse:
    """The headers of an answer of ours. A 429 says nothing of other origins, as in the released service."""
    for name, value in _SAFETY.items():
        response.headers.setdefault(name, value)
    if count is not None:
        response["X-RateLimit-Limit"] = str(count.limit)
        response["X-RateLimit-Remaining"] = str(count.remaining)
        response["X-RateLimit-Reset"] = str(int(time.time()) + count.seconds)
    if "Origin" in request.headers and response.status_code != 429:
        response["Access-Control-Allow-Origin"] = request.headers["Origin"] if request.COOKIES else "*"
        response["Access-Control-Allow-Credentials"] = "true"
        if request.COOKIES:
            response["Vary"] = "Origin"
    return response


def preflight(request: HttpRequest) -> HttpResponse | None:
    """The answer to a browser that asks whether it may ask."""
    if request.method != "OPTIONS" or not {"Origin", "Access-Control-Request-Method"} <= set(request.headers):
        return None
    return HttpResponse(b"OK", content_type="text/plain; charset=utf-8", headers={
        "Access-Control-Allow-Origin": request.headers["Origin"], "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": _CORS_SECONDS, "Vary": "Origin",
        "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", ""),
    })  # fmt: skip
