"""A middleware that counts the answers of the new API and of OAuth; legacy requests are counted where they are recorded."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from flags import maintenance
from legacy_compat import histograms

_OURS = ("/api/v1/", "/oauth/")
RECORDED = "legacy_recorded"
"""Set on a request that was counted already: some legacy paths lie under /api/v1/."""


def middleware(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    def measured(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(_OURS):
            return get_response(request)
        at, began = time.time(), time.monotonic()
        response = get_response(request)
        if not getattr(request, RECORDED, False):
            match = request.resolver_match
            endpoint = histograms.named(request.method or "", f"/{match.route}") if match else "(unknown)"
            spent = (time.monotonic() - began) * 1000
            home = maintenance.CLOSED if hasattr(request, maintenance.CLOSED) else "iam"
            histograms.note(histograms.Call(at, home, endpoint, response.status_code, spent))
        return response

    return measured
