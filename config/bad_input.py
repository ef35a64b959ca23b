"""What no text in PostgreSQL holds, sent where text is looked up or stored: a clear 400, whichever page it was."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import DataError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

log = structlog.get_logger(__name__)
_SENTENCE = "The request holds a value that cannot be: too long, too large, or with characters no text has."


class BadInput:
    """Middleware. Only values that the database refuses, and filters that no list has: every other fault stays one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DataError | IncorrectLookupParameters):
            return None
        log.warning("bad_input", error=type(error).__name__)
        if request.path.startswith(("/api/", "/oauth/token", "/oauth/introspect", "/oauth/revoke")):
            return JsonResponse({"error": "invalid_request", "detail": _SENTENCE}, status=400)
        return render(request, "oauth/message.html", {"title": "This did not work", "message": _SENTENCE}, status=400)
