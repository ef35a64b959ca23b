"""Who is asking, when a load balancer of ours stands in front: otherwise all clients would share one throttle."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def client_address(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """REMOTE_ADDR is the last address of X-Forwarded-For: what the balancer itself saw; earlier ones anybody can make up."""

    def middleware(request: HttpRequest) -> HttpResponse:
        last = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        with contextlib.suppress(ValueError):  # nobody in front of us, or nonsense: the connection's own address stands
            request.META["REMOTE_ADDR"] = str(ipaddress.ip_address(last))
        return get_response(request)

    return middleware
