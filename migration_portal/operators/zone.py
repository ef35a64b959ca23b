"""Times as who looks at them has them: the browser says its zone in a cookie, which portal.js sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "zone"


def zone_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Pages of the console show and read times in the operator's zone; without one that we know, in the portal's."""

    def middleware(request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get(COOKIE, "")
        if not request.path.startswith("/admin/") or name not in _known():
            return get_response(request)
        with timezone.override(ZoneInfo(name)):
            return get_response(request)

    return middleware


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())
