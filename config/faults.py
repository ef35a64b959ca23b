"""What a person sees when a page could not be made: in words, and which database did not answer."""

from __future__ import annotations

import sys

import psycopg
import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

from migration_portal import databases
from migration_portal.refusal import Refusal


def broken(request: HttpRequest) -> HttpResponse:
    """Django's handler500: 503 where a database is away, and says so; else 500, with the number the log has it under."""
    error = sys.exc_info()[1]
    if not request.path.startswith("/admin"):
        return server_error(request)
    if isinstance(error, DatabaseError | psycopg.Error | Refusal):
        title, message, status = "A database did not answer", databases.words(error), 503
    else:
        number = structlog.contextvars.get_contextvars().get("request_id", "")
        title, status = "This did not work", 500
        message = f"It is a fault of the portal's, and in its log as request {number}. Tell its operators."
    context = {"title": title, "message": message, "path": request.path if request.method == "GET" else "/admin/"}
    return HttpResponse(render_to_string("fault.html", context), status=status)
