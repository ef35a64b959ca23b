"""What a person sees when a page could not be made, is not there, or is not theirs."""

from __future__ import annotations

import sys

import psycopg
import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.csrf import csrf_failure
from django.views.defaults import page_not_found, permission_denied, server_error

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
    return _said(title, message, request.path if request.method == "GET" else "/admin/", "Try again", status)


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if not request.path.startswith("/admin"):
        return page_not_found(request, exception)
    return _said("Nothing is here", "What this address led to was removed, or never was.", "/admin/", "Dashboard", 404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if not request.path.startswith("/admin"):
        return permission_denied(request, exception)
    message = "It needs a permission that none of your groups has. A superuser gives it, under Operators. Nothing has changed."
    return _said("You may not do this", message, "/admin/", "Dashboard", 403)


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Instead of Django's page for a form whose token is missing or of an earlier session."""
    if not request.path.startswith("/admin"):
        return csrf_failure(request, reason)
    message = "The page was open for too long, or cookies are switched off. Nothing has changed: open it again."
    return _said("That page is out of date", message, "/admin/", "Dashboard", 403)


def _said(title: str, message: str, path: str, button: str, status: int) -> HttpResponse:
    context = {"title": title, "message": message, "path": path, "button": button}
    return HttpResponse(render_to_string("fault.html", context), status=status)
