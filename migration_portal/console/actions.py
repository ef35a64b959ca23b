"""Doing one thing on a POST: permission, one call, named errors as messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from migration_portal import databases
from migration_portal.console.confirming import ShowAgain, ask_again, require_shown
from migration_portal.refusal import Refusal

_YEARS = range(2000, 2200)


def need(request: HttpRequest, permission: str) -> None:
    """Raises PermissionDenied without it."""
    if not request.user.has_perm(permission):
        raise PermissionDenied


def act(request: HttpRequest, permission: str, do: Callable[[], Any], *, back: str, done: str) -> HttpResponse:
    """Do one thing: only by POST, only with the permission; tell what came of it and go `back`.

    `done` is the message of success; where `do` returns text, that is shown instead.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    need(request, permission)
    try:
        answer = do()
    except ShowAgain:
        return ask_again(request, back=back)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    except (DatabaseError, psycopg.Error) as error:
        messages.error(request, databases.words(error))
    else:
        messages.success(request, answer if isinstance(answer, str) else done)
    return redirect(back)


def by(request: HttpRequest) -> str:
    """Who asks, for the record."""
    return request.user.get_username()


def reason(request: HttpRequest) -> str:
    """The reason typed into the dialog."""
    return request.POST.get("reason", "").strip()


def whole(text: str, least: int, most: int) -> int | None:
    """The whole number that was typed, in decimal digits; None for anything else, and for what is out of range."""
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        return None
    return int(text) if least <= int(text) <= most else None


def moment(text: str) -> datetime | None:
    """A date and time, ISO 8601 or as a browser's field sends it; without a zone, in the portal's. None for nothing.

    Raises Refusal.
    """
    if not text.strip():
        return None
    try:
        found = parse_datetime(text.strip())
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS:  # beyond them other zones have no such time
        raise Refusal("That is no time.", subject=text[:30], todo="Write it as 2026-12-01T02:00.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def require_typed(request: HttpRequest, word: str) -> None:
    """For what is dangerous. Raises Refusal unless the dialog's confirmation was typed, and ShowAgain."""
    if request.POST.get("typed", "").strip() != word:
        raise Refusal(f"To confirm, type: {word}", todo="Nothing has changed.")
    require_shown(request)
